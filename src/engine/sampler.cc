#include "engine/sampler.h"

namespace lmdeploy {

SamplingState::SamplingState(const Request& request, std::int32_t vocab_size)
    : params_(request.sampling),
      logprobs_(request.logprobs),
      num_top_logprobs_(request.logprobs ? request.num_top_logprobs : 0),
      min_new_tokens_(request.min_new_tokens),
      bad_words_(request.bad_words) {
  for (const TokenId id : request.stop_token_ids)
    if (id >= 0 && id < vocab_size) stop_token_ids_.push_back(id);  // others are never drawn anyway
  for (const TokenBias& bias : request.logit_bias) logit_bias_.push_back({bias.token, bias.bias});
  if (params_.repetition_penalty != 1) {
    is_penalized_.assign(static_cast<std::size_t>(vocab_size), false);
    for (const TokenId id : request.prompt_ids) penalize(id);
  }
  ban();
}

ops::SamplingRow SamplingState::row() const {
  ops::SamplingRow row;
  row.temperature = params_.temperature;
  row.top_k = params_.top_k;
  row.top_p = params_.top_p;
  row.min_p = params_.min_p;
  row.typical_p = params_.typical_p;
  row.repetition_penalty = params_.repetition_penalty;
  row.presence_penalty = params_.presence_penalty;
  row.frequency_penalty = params_.frequency_penalty;
  row.logit_bias = logit_bias_;
  row.penalized_ids = penalized_ids_;
  row.answer_counts = counts_;
  row.banned_ids = banned_ids_;
  row.seed = params_.seed;
  row.draw = static_cast<std::uint64_t>(num_drawn_);
  return row;
}

void SamplingState::accept(TokenId token) {
  num_drawn_++;
  if (!is_penalized_.empty()) penalize(token);
  if (params_.presence_penalty != 0 || params_.frequency_penalty != 0) count(token);
  bad_words_.accept(token);
  ban();
}

void SamplingState::penalize(TokenId token) {
  const auto i = static_cast<std::size_t>(token);
  if (is_penalized_.at(i)) return;
  is_penalized_[i] = true;
  penalized_ids_.push_back(token);
}

void SamplingState::count(TokenId token) {
  const auto [entry, is_new] = count_idx_.try_emplace(token, counts_.size());
  if (is_new) counts_.push_back({token, 0});
  counts_[entry->second].count++;
}

void SamplingState::ban() {
  banned_ids_.clear();
  if (num_drawn_ < min_new_tokens_) banned_ids_ = stop_token_ids_;
  bad_words_.append_banned(banned_ids_);
}

}  // namespace lmdeploy
