#pragma once
#include <cstdint>

namespace lmdeploy::ops::cuda {

// Where a linear layer's sums go.
struct LinearOutput {
  float* y = nullptr;  // [m, n]
  // Instead of y: silu of the first half of the outputs times the second half, [m, n / 2] of x's type. Of few
  // tokens, nothing added to it.
  void* gated = nullptr;
  std::int64_t stride = 0;            // of y, or of gated
  const float* bias = nullptr;        // [n], or none
  const float* row_scales = nullptr;  // [m]: what the rounded inputs of a row are multiples of; none: 1
  bool accumulate = false;

  LinearOutput rows(std::int64_t first) const {
    LinearOutput result = *this;
    result.y += first * stride;
    if (row_scales != nullptr) result.row_scales += first;
    return result;
  }
  LinearOutput columns(std::int64_t first) const {
    LinearOutput result = *this;
    result.y += first;
    if (bias != nullptr) result.bias += first;
    return result;
  }
};

}  // namespace lmdeploy::ops::cuda
