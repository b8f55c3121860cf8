#pragma once
// The grid of a group of weights: quant/group_grid.h for kernels. Products are __fmul_rn, which the compiler
// does not join with a sum that follows, so that every result is the host's.
#include "ops/cuda/device_float.cuh"
#include "ops/cuda/weight_rounding_kernel.h"

namespace lmdeploy::ops::cuda {

struct GroupGrid {
  float scale, zero, max_code;

  __device__ float code(float weight) const {
    const float steps = fminf(fmaxf(weight / scale, -max_code), max_code);
    return fminf(fmaxf(rintf(steps) + zero, 0.0F), max_code);
  }
  __device__ float value(float code) const { return __fmul_rn(code - zero, scale); }
};

__device__ inline float rounded_to(float value, DType dtype) {
  if (dtype == DType::f16) return to_float(from_float<__half>(value));
  if (dtype == DType::bf16) return to_float(from_float<__nv_bfloat16>(value));
  return value;
}

// low <= 0 <= high. Where the dtype cannot hold the scale, values are NaN.
__device__ inline GroupGrid make_grid(float low, float high, const GridRule& rule) {
  constexpr float kMinStep = 1e-6F;
  const float range = rule.symmetric ? 2 * fmaxf(-low, high) : high - low;
  const float step = fmaxf(fmaxf(range / rule.max_code, high / (rule.max_code - rule.min_zero)), kMinStep);
  GroupGrid grid;
  grid.max_code = rule.max_code;
  grid.scale = rounded_to(step, rule.scale_dtype);
  grid.zero = rule.symmetric ? (rule.max_code + 1) / 2
                             : fminf(fmaxf(rintf(-low / grid.scale), rule.min_zero), rule.max_code);
  return grid;
}

}  // namespace lmdeploy::ops::cuda
