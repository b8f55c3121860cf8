#pragma once
// Answers with tool calls as models write them, sound and damaged, made of a few parts by rules.
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tool_calls.h"

namespace lmdeploy::testing {

// All that a parser has said of one answer.
struct ParsedOutput {
  std::string content;
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments
  bool all_whole = true;

  void add(const ToolCallParser::Pieces& pieces);
  bool operator==(const ParsedOutput&) const = default;
};
void PrintTo(const ParsedOutput& output, std::ostream* out);

struct ToolOutput {
  std::string_view format;
  std::string text;
};
std::vector<ToolOutput> tool_outputs();

}  // namespace lmdeploy::testing
