#pragma once
// Rounding weights on trial: what it would change, and which clipping changes least. As quant/group_grid.h
// has it, operation by operation, so that both devices mean the same grids.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/row_ops_kernel.h"

namespace lmdeploy::ops::cuda {

// How the grid of a group follows from its range.
struct GridRule {
  std::int64_t group_size;
  float max_code;
  float min_zero;
  bool symmetric;
  DType scale_dtype;
};

// Rows of f32.
struct WeightRows {
  const float* data;
  std::int64_t stride;
  std::int64_t n, k;
};

// errors[i, j] = r(w[i, j] s[j]) / s[j] - w[i, j]; see ops.h.
cudaError_t launch_scaled_rounding_errors(const WeightRows& w, const float* scales, const GridRule& rule,
                                          const FloatRows& errors, cudaStream_t stream);

inline constexpr int kMaxClips = 10;
struct ClipArguments {
  WeightRows w;
  const float* grams;  // [k, group_size]
  std::int64_t grams_stride;
  float shares[kMaxClips];  // of a group's range
  std::uint8_t* choices;    // [n, k / group_size]
  std::int64_t choices_stride;
};
// Groups of at most kMaxClipGroup.
inline constexpr std::int64_t kMaxClipGroup = 256;
cudaError_t launch_choose_clipping(const ClipArguments& arguments, const GridRule& rule, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
