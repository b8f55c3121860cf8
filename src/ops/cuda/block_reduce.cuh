#pragma once
// Reductions over the threads of a warp and of a block, each in one fixed order: sums of floats are the same
// in every run.

namespace lmdeploy::ops::cuda {

inline constexpr int kWarpLen = 32;
inline constexpr unsigned kAllLanes = ~0U;

struct Add {
  template <class T>
  __device__ T operator()(const T& a, const T& b) const {
    return a + b;
  }
};
struct Larger {
  template <class T>
  __device__ T operator()(const T& a, const T& b) const {
    return a < b ? b : a;
  }
};

__device__ inline int lane_of_thread() {
  return static_cast<int>(threadIdx.x) % kWarpLen;
}
__device__ inline int warp_of_thread() {
  return static_cast<int>(threadIdx.x) / kWarpLen;
}

template <class T>
__device__ T from_lane_xor(const T& value, int mask) {
  return __shfl_xor_sync(kAllLanes, value, mask);
}

// In every lane.
template <class T, class Op>
__device__ T reduce_warp(T value, const Op& op) {
#pragma unroll
  for (int mask = kWarpLen / 2; mask > 0; mask /= 2) value = op(value, from_lane_xor(value, mask));
  return value;
}

// In every thread of a block of kThreads.
template <int kThreads, class T, class Op>
__device__ T reduce_block(T value, const Op& op) {
  __shared__ T of_warps[kThreads / kWarpLen];
  value = reduce_warp(value, op);
  if (lane_of_thread() == 0) of_warps[warp_of_thread()] = value;
  __syncthreads();
  value = of_warps[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / kWarpLen; warp++) value = op(value, of_warps[warp]);
  __syncthreads();  // the next call writes there
  return value;
}

}  // namespace lmdeploy::ops::cuda
