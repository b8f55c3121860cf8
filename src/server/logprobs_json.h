#pragma once
// Log probabilities in OpenAI's two forms.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/request.h"

namespace lmdeploy {

// What a client that asked for log probabilities is told of one token.
struct AnswerToken {
  struct Top {
    std::string bytes;
    float logprob = 0;
  };
  TokenId token = -1;
  std::string bytes;             // of its text; a part of a character is not UTF-8
  std::optional<float> logprob;  // the first token of a prompt has none
  std::vector<Top> top = {};     // the most likely first
  std::int64_t text_offset = 0;  // characters of the choice's text before it
};

// null where there is none, and where it is no number.
nlohmann::ordered_json logprob_json(std::optional<float> logprob);

// The chat's: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}.
nlohmann::ordered_json chat_logprobs(std::span<const AnswerToken> tokens);

// The completion's: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, a list each. The map of the
// most likely tokens holds the drawn one too.
nlohmann::ordered_json completion_logprobs(std::span<const AnswerToken> tokens);

}  // namespace lmdeploy
