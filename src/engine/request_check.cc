#include "engine/request_check.h"

#include <fmt/format.h>

#include <cmath>

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
  return std::nullopt;
}

std::optional<std::string> problem(const Request& request, std::int32_t vocab_size) {
  if (request.prompt_ids.empty()) return "the prompt is empty";
  for (const TokenId id : request.prompt_ids)
    if (id < 0 || id >= vocab_size)
      return fmt::format("token id {} in the prompt is outside of the vocabulary of {}", id, vocab_size);
  if (request.max_new_tokens < 0)
    return fmt::format("max_new_tokens must be at least 0, found {}", request.max_new_tokens);
  if (request.min_new_tokens < 0)
    return fmt::format("min_new_tokens must be at least 0, found {}", request.min_new_tokens);
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
