#pragma once
// RMSNorm of a row (Zhang & Sennrich 2019, eq. 4) in one order of sums, whichever kernel does it and however
// many threads that has: a normed row has the same bits everywhere.
#include "ops/cuda/quads.cuh"

namespace lmdeploy::ops::cuda {

inline constexpr int kNormLanes = 32, kMaxNormThreads = 1024;
inline constexpr int kNormQuads = 2;  // that a thread sums, in rows of up to 8192

// The quads of a row of d are dealt to so many threads, whole warps: quad i to thread i % norm_threads(d).
__host__ __device__ constexpr int norm_threads(std::int64_t d) {
  const std::int64_t threads = divide_up(divide_up(divide_up(d, 4), kNormQuads), kNormLanes) * kNormLanes;
  return static_cast<int>(threads < kMaxNormThreads ? threads : kMaxNormThreads);
}

__device__ inline float sum_of_warp(float x) {
#pragma unroll
  for (int distance = kNormLanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(~0U, x, distance);
  return x;
}

__device__ inline float sum_of_squares(float4 x) {
  return __fadd_rn(fmaf(x.x, x.x, __fmul_rn(x.y, x.y)), fmaf(x.z, x.z, __fmul_rn(x.w, x.w)));
}

__device__ inline float norm_factor(float sum_of_squares_of_row, float inverse_d, float eps) {
  return rsqrtf(fmaf(sum_of_squares_of_row, inverse_d, eps));
}

__device__ inline float4 normed(float4 x, float factor, float4 w) {
  return {x.x * factor * w.x, x.y * factor * w.y, x.z * factor * w.z, x.w * factor * w.w};
}

}  // namespace lmdeploy::ops::cuda
