#pragma once
// LMDeploy's own requests as typed messages: /generate, /v1/chat/interactive (0.5.3) and /abort_request.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/openai.h"

namespace lmdeploy {

struct GenerateRequest {
  AnswerOptions options;  // model: empty where the request names none
  Prompt prompt;
};

struct InteractiveRequest {
  AnswerOptions options;  // session_id among them; model is always empty
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();  // empty: nothing is asked
  bool interactive_mode = false;                                      // the session goes on after this
  bool cancel = false;
};

struct AbortRequest {
  bool abort_all = false;
  std::optional<std::int64_t> session_id = {};
  std::string request_id = {};  // empty: not given
};

inline constexpr std::int32_t kDefaultGenerateTokens = 128;  // LMDeploy's

// Throw ApiError (400). `notes`, where given, gets every field that is asked for.
GenerateRequest parse_generate_request(std::string_view body, const RequestLimits& limits,
                                       std::vector<FieldNote>* notes = nullptr);
InteractiveRequest parse_interactive_request(std::string_view body, const RequestLimits& limits,
                                             std::vector<FieldNote>* notes = nullptr);
AbortRequest parse_abort_request(std::string_view body, std::vector<FieldNote>* notes = nullptr);

}  // namespace lmdeploy
