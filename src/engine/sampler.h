#pragma once
#include <cstdint>
#include <vector>

#include "engine/request.h"
#include "ops/ops.h"

namespace lmdeploy {

// How one request's next token is drawn: its parameters and what it has said. The number of tokens drawn
// before is the only thing that moves the random numbers, so neither company nor a preemption changes them.
class SamplingState {
 public:
  SamplingState(const Request& request, std::int32_t vocab_size);

  // Spans into this object, valid until accept().
  ops::SamplingRow row() const;

  void accept(TokenId token);  // `token` was drawn

 private:
  void penalize(TokenId token);

  SamplingParams params_;
  std::int32_t min_new_tokens_;
  std::int32_t num_drawn_ = 0;
  std::vector<TokenId> stop_token_ids_;
  std::vector<TokenId> penalized_ids_;  // distinct ids of prompt and answer, empty without a penalty
  std::vector<bool> is_penalized_;      // [vocab_size], empty without a penalty
};

}  // namespace lmdeploy
