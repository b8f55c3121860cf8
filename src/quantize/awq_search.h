#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "quant/group_grid.h"
#include "quantize/contexts.h"

namespace lmdeploy {

struct SearchOptions {
  RoundingOptions rounding;
  std::int32_t num_ratios = 20;
};

// Linears that read the same inputs, and so share their scales.
struct ScaledLinears {
  std::span<const View> weights;  // each [n, k] f32, in host memory
  View inputs;                    // [m, k] f32, bf16 or f16: a sample of what they read, where it is computed
  std::span<const float> input_mean;  // [k], of |x| over all calibration tokens
};

// The scales with the least squared output error of all linears together after rounding to nearest (Lin et
// al. 2023, section 3.2). Candidates are x^r and x^r / w^(1 - r), x the mean of |x| and w the relative weight
// sizes, for r = 0, 1/num_ratios, ..; 1 everywhere (x^0) is one of them. Costs 4 num_ratios m n k operations.
std::vector<float> search_scales(Contexts& contexts, const ScaledLinears& linears,
                                 const SearchOptions& options);

}  // namespace lmdeploy
