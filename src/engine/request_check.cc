#include "engine/request_check.h"

#include <fmt/format.h>

#include <cmath>
#include <span>
#include <string_view>

namespace lmdeploy {
namespace {

// The comparisons are written so that NaN fails them.
std::optional<std::string> sampling_problem(const SamplingParams& p) {
  if (!(p.temperature >= 0) || std::isinf(p.temperature))
    return fmt::format("temperature must be finite and at least 0, found {}", p.temperature);
  if (p.top_k < 0) return fmt::format("top_k must be at least 0, found {}", p.top_k);
  if (!(p.top_p >= 0 && p.top_p <= 1)) return fmt::format("top_p must be from 0 to 1, found {}", p.top_p);
  if (!(p.min_p >= 0 && p.min_p <= 1)) return fmt::format("min_p must be from 0 to 1, found {}", p.min_p);
  if (!(p.repetition_penalty > 0) || std::isinf(p.repetition_penalty))
    return fmt::format("repetition_penalty must be finite and over 0, found {}", p.repetition_penalty);
  if (!(p.typical_p >= 0 && p.typical_p <= 1))
    return fmt::format("typical_p must be from 0 to 1, found {}", p.typical_p);
  if (!std::isfinite(p.presence_penalty))
    return fmt::format("presence_penalty must be finite, found {}", p.presence_penalty);
  if (!std::isfinite(p.frequency_penalty))
    return fmt::format("frequency_penalty must be finite, found {}", p.frequency_penalty);
  return std::nullopt;
}

std::optional<std::string> id_problem(std::string_view where, TokenId id, std::int32_t vocab_size) {
  if (id >= 0 && id < vocab_size) return std::nullopt;
  return fmt::format("token id {} in {} is outside of the vocabulary of {}", id, where, vocab_size);
}

std::optional<std::string> ids_problem(std::string_view where, std::span<const TokenId> ids,
                                       std::int32_t vocab_size) {
  for (const TokenId id : ids)
    if (auto found = id_problem(where, id, vocab_size)) return found;
  return std::nullopt;
}

std::optional<std::string> token_list_problem(const Request& request, std::int32_t vocab_size) {
  if (auto found = ids_problem("the prompt", request.prompt_ids, vocab_size)) return found;
  for (const TokenBias& bias : request.logit_bias) {
    if (auto found = id_problem("logit_bias", bias.token, vocab_size)) return found;
    if (!std::isfinite(bias.bias)) return fmt::format("logit_bias must be finite, found {}", bias.bias);
  }
  for (const auto& word : request.bad_words) {
    if (word.empty()) return "bad_words has an empty sequence";
    if (auto found = ids_problem("bad_words", word, vocab_size)) return found;
  }
  return std::nullopt;
}

std::optional<std::string> problem(const Request& request, std::int32_t vocab_size) {
  if (request.prompt_ids.empty()) return "the prompt is empty";
  if (auto found = token_list_problem(request, vocab_size)) return found;
  if (request.max_new_tokens < 0)
    return fmt::format("max_new_tokens must be at least 0, found {}", request.max_new_tokens);
  if (request.min_new_tokens < 0)
    return fmt::format("min_new_tokens must be at least 0, found {}", request.min_new_tokens);
  if (request.pooling != Pooling::none && request.prompt_logprobs)
    return "an embedding and log probabilities of its prompt exclude each other";
  if (request.num_top_logprobs < 0 || request.num_top_logprobs > kMaxTopLogprobs)
    return fmt::format("num_top_logprobs must be from 0 to {}, found {}", kMaxTopLogprobs,
                       request.num_top_logprobs);
  return sampling_problem(request.sampling);
}

}  // namespace

std::optional<Rejected> check_request(const Request& request, std::int32_t session_len,
                                      std::int32_t vocab_size) {
  if (request.prompt_ids.size() >= static_cast<std::size_t>(session_len))
    return Rejected{
        Rejected::Reason::too_long,
        fmt::format("the prompt has {} tokens, but prompt and answer together can have {} at most here",
                    request.prompt_ids.size(), session_len)};
  if (auto found = problem(request, vocab_size))
    return Rejected{Rejected::Reason::invalid, std::move(*found)};
  return std::nullopt;
}

}  // namespace lmdeploy
