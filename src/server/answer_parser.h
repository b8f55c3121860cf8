#pragma once
// A chat's answer taken apart while it comes: what the model thinks, what it says, and the tools it calls.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/reasoning.h"
#include "text/tool_calls.h"

namespace lmdeploy {

struct AnswerParsing {
  std::optional<ReasoningStart> reasoning = {};  // none: the answer is not searched for reasoning
  std::optional<ToolCallOptions> calls = {};     // none: nor for calls
};

struct AnswerPieces {
  std::string reasoning;
  std::string content;
  std::vector<ToolCallDelta> calls;
};

// Of one choice. The pieces add up to the same whatever the texts are cut into.
class AnswerParser {
 public:
  explicit AnswerParser(const AnswerParsing& parsing);

  AnswerPieces feed(std::string_view text);
  AnswerPieces finish();

  bool in_reasoning() const { return reasoning_ && reasoning_->in_reasoning(); }
  bool is_satisfied() const { return calls_ && calls_->is_satisfied(); }  // nothing more is wanted
  bool has_whole_calls() const { return calls_ && calls_->num_calls() > 0 && calls_->all_whole(); }

 private:
  void add(std::string_view rest, AnswerPieces& pieces);

  std::optional<ReasoningSplitter> reasoning_;
  std::optional<ToolCallParser> calls_;
};

}  // namespace lmdeploy
