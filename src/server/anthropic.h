#pragma once
// Anthropic's Messages API as typed requests: JSON ends here. A field is honoured, or accepted in the value
// that has no effect, or refused with a 400 that names it (docs/compatibility.md).
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/openai.h"

namespace lmdeploy {

// A conversation as Anthropic writes it, as a chat template reads it: system blocks and messages become
// OpenAI's messages.
struct MessagesInput {
  std::string model;
  ChatInput chat;  // continue_final_message where the last one is the assistant's
  ToolUse tools;
  std::optional<GrammarSpec> grammar;  // of the answer; none: any text
};

struct MessagesRequest {
  MessagesInput input;
  AnswerOptions options;
};

// Throw ApiError (400). `notes`, where given, gets every field that is asked for.
MessagesRequest parse_messages_request(std::string_view body, const RequestLimits& limits,
                                       std::vector<FieldNote>* notes = nullptr);
MessagesInput parse_count_tokens_request(std::string_view body, const RequestLimits& limits,
                                         std::vector<FieldNote>* notes = nullptr);

}  // namespace lmdeploy
