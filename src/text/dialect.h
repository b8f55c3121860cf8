#pragma once
// What a model's answers hold beside plain text, told by its own template and vocabulary.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/reasoning.h"
#include "text/tokenizer.h"
#include "text/tool_format.h"

namespace lmdeploy {

// How a prompt says which tools there are.
enum class ToolPrompt : std::uint8_t {
  unknown,    // the template never reads `tools`, and nothing else says how
  templated,  // the template does it
  plugin,     // InternLM's turns with <|plugin|>, around a template that never reads `tools`
  system      // a system message of ours, in front of such a template
};

// Those of a format's markers that are special tokens: decoding leaves them out unless it is told to show
// them.
struct SpecialMarkers {
  std::vector<std::string> texts = {};
  std::vector<TokenId> ids = {};
};

struct Dialect {
  const ToolFormat* tool_format = nullptr;  // null: answers are not searched for calls
  bool calls_are_off = false;               // because the server was told so
  ToolPrompt tool_prompt = ToolPrompt::unknown;
  const ReasoningFormat* reasoning = nullptr;  // null: answers are not searched for reasoning
  SpecialMarkers tool_markers = {};
  SpecialMarkers reasoning_markers = {};
  std::optional<TokenId> call_end_id = {};  // ends an answer as a stop token does; none: it does not
};

struct DialectNames {
  std::string tool_call_parser = {};  // empty: the template tells; "none": calls are not read
  std::string reasoning_parser = {};  // likewise
};

// Throws Error that lists the names where one of these is none of them.
void check_dialect_names(const DialectNames& names);

// Likewise. chat_template: null where the model has none.
Dialect find_dialect(const ChatTemplate* chat_template, const Tokenizer& tokenizer,
                     const DialectNames& names);

// "<think> and hermes tool calls", for people; "" where there is nothing.
std::string describe(const Dialect& dialect);

}  // namespace lmdeploy
