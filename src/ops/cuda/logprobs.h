#pragma once
// token_logprobs and top_logprobs in their halves: what is put on the stream, its results in the workspace,
// and what the host makes of them.
#include <cstdint>
#include <span>
#include <vector>

#include "ops/cuda/logprobs_kernel.h"
#include "ops/ops.h"

namespace lmdeploy::ops::cuda {

// targets: [m] in device memory. Returns [m] in device memory, undefined where the target is below 0.
RowSum* put_row_sums(Ctx& ctx, const View& logits, const std::int32_t* targets);

// counts[i] <= v of each row in turn, by ascending ids, in device memory. null: no row wants any.
IdLogit* put_top_logits(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts);

inline float logprob(float logit, double log_sum) {
  return static_cast<float>(static_cast<double>(logit) - log_sum);
}

// Of one row; sorts `tops`. None where log_sum is not finite.
std::vector<IdLogprob> most_likely_first(std::span<IdLogit> tops, double log_sum);

}  // namespace lmdeploy::ops::cuda
