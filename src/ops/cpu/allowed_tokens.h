#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ops/cpu/kernels.h"
#include "ops/ops.h"

namespace lmdeploy::ops::cpu {

// One row on its way to a draw.
struct WeightedRow {
  const float* logits;   // [v], adjusted
  const float* weights;  // [v], exp((logit - max) * scale): probabilities times total_weight
  std::int64_t v;
  float max;    // of the logits
  float scale;  // 1 / temperature
  double total_weight;
};

// Whether any of top_k, top_p, min_p and typical_p is in use.
bool limits_tokens(const SamplingRow& options);

// The tokens that those leave, in an order that depends on row and options only; at least one, none of weight
// 0.
std::vector<std::int32_t> allowed_tokens(const Kernels& k, const WeightedRow& row,
                                         const SamplingRow& options);

double weight_of(const WeightedRow& row, std::span<const std::int32_t> ids);

}  // namespace lmdeploy::ops::cpu
