#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/bad_words.h"
#include "engine/request.h"
#include "ops/step_draws.h"

namespace lmdeploy {

using Draw = ops::RowDraw;

// How one request's next token is drawn: its parameters and what it has said. The number of tokens drawn
// before is the only thing that moves the random numbers, so neither company nor a preemption changes them.
class SamplingState {
 public:
  SamplingState(const Request& request, std::int32_t vocab_size);

  // Spans into this object, valid until accept().
  ops::SamplingRow row() const;
  Draw draw() const { return {row(), logprobs_, num_top_logprobs_}; }

  void accept(TokenId token);  // `token` was drawn

 private:
  void penalize(TokenId token);
  void count(TokenId token);
  void ban();

  SamplingParams params_;
  bool logprobs_;
  std::int32_t num_top_logprobs_;
  std::int32_t min_new_tokens_;
  std::vector<TokenId> stop_token_ids_;
  std::vector<ops::IdBias> logit_bias_;
  BadWords bad_words_;

  std::int32_t num_drawn_ = 0;
  std::vector<TokenId> banned_ids_;     // in the next draw
  std::vector<TokenId> penalized_ids_;  // distinct tokens of prompt and answer
  std::vector<bool> is_penalized_;      // [vocab_size]; empty without a repetition penalty
  std::vector<ops::IdCount> counts_;    // of the answer; empty without presence and frequency penalty
  std::unordered_map<TokenId, std::size_t> count_idx_;  // of a token in counts_
};

}  // namespace lmdeploy
