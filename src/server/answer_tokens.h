#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "server/logprobs_json.h"
#include "text/tokenizer.h"

namespace lmdeploy {

// A token as answers show it. logprob: empty for a prompt's first token.
AnswerToken answer_token(const Tokenizer& tokenizer, TokenId token, std::optional<float> logprob,
                         std::span<const TokenLogprob> top);

// The tokens of a prompt that is echoed, each with its place in the prompt's text. scores: of the second
// token and the following ones.
std::vector<AnswerToken> echoed_tokens(const Tokenizer& tokenizer, std::string_view text, TokenId first_token,
                                       std::span<const TokenScore> scores);

}  // namespace lmdeploy
