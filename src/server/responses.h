#pragma once
// OpenAI's Responses API as typed requests: JSON ends here. A field is honoured, or accepted in the value
// that has no effect, or refused with a 400 that names it (docs/compatibility.md).
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/openai.h"

namespace lmdeploy {

struct ResponsesRequest {
  AnswerOptions options;
  ChatInput chat;  // its messages of `input` alone: neither the instructions nor what came before
  ToolUse tools;
  std::optional<std::string> instructions;
  std::optional<std::string> previous_response_id;
  bool store = true;
  nlohmann::ordered_json echo;  // fields that the response repeats: user, metadata, text, ...
};

// Throws ApiError (400). `notes`, where given, gets every field that is asked for.
ResponsesRequest parse_responses_request(std::string_view body, const RequestLimits& limits,
                                         std::vector<FieldNote>* notes = nullptr);

}  // namespace lmdeploy
