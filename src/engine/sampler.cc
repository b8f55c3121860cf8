#include "engine/sampler.h"

namespace lmdeploy {

SamplingState::SamplingState(const Request& request, std::int32_t vocab_size)
    : params_(request.sampling), min_new_tokens_(request.min_new_tokens) {
  for (const TokenId id : request.stop_token_ids)
    if (id >= 0 && id < vocab_size) stop_token_ids_.push_back(id);  // others are never drawn anyway
  if (params_.repetition_penalty == 1) return;
  is_penalized_.assign(static_cast<std::size_t>(vocab_size), false);
  for (const TokenId id : request.prompt_ids) penalize(id);
}

ops::SamplingRow SamplingState::row() const {
  ops::SamplingRow row;
  row.temperature = params_.temperature;
  row.top_k = params_.top_k;
  row.top_p = params_.top_p;
  row.min_p = params_.min_p;
  row.repetition_penalty = params_.repetition_penalty;
  row.penalized_ids = penalized_ids_;
  if (num_drawn_ < min_new_tokens_) row.banned_ids = stop_token_ids_;
  row.seed = params_.seed;
  row.draw = static_cast<std::uint64_t>(num_drawn_);
  return row;
}

void SamplingState::accept(TokenId token) {
  num_drawn_++;
  if (!is_penalized_.empty()) penalize(token);
}

void SamplingState::penalize(TokenId token) {
  const auto i = static_cast<std::size_t>(token);
  if (is_penalized_.at(i)) return;
  is_penalized_[i] = true;
  penalized_ids_.push_back(token);
}

}  // namespace lmdeploy
