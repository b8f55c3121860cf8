#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/device_float.cuh"
#include "ops/cuda/linear_inputs_kernel.h"
#include "ops/cuda/mma_tiles.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;

struct Padding {
  std::int64_t group_size, padded_group, padded_k;
};

template <class X, class Y>
__global__ void pad_inputs(const LinearInputs a, const Padding padding, Y* y) {
  enter_chain();
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= padding.padded_k) return;
  const std::int64_t group = column / padding.padded_group, in_group = column % padding.padded_group;
  const std::int64_t from = group * padding.group_size + in_group;
  const bool empty = in_group >= padding.group_size || from >= a.k;
  for (std::int64_t row = blockIdx.y; row < a.m; row += gridDim.y) {
    const X* x = static_cast<const X*>(a.x) + row * a.stride;
    y[row * padding.padded_k + column] = from_float<Y>(empty ? 0.0F : to_float(x[from]));
  }
}

// What the rounded inputs of a span are multiples of.
struct Int8Scale {
  float scale, inverse;
};

__device__ Int8Scale int8_scale(float largest) {
  constexpr float kLeastMagnitude =
      0x1p-100F;  // below this the inverse might overflow: such inputs count as 0
  if (!isfinite(largest)) return {__int_as_float(0x7fffffff), 0};
  if (largest < kLeastMagnitude) return {0, 0};
  return {largest / 127, 127 / largest};
}

// The largest magnitude of a span, infinite where a value is not finite. Every thread of the block calls it.
template <class X>
__device__ float largest_magnitude(const X* x, std::int64_t count) {
  __shared__ float of_warps[kThreads / 32];
  float largest = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) {
    const float magnitude = fabsf(to_float(x[i]));
    largest = isfinite(magnitude) ? fmaxf(largest, magnitude) : __int_as_float(0x7f800000);
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0U, largest, step));
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = largest;
  __syncthreads();
  for (int i = 0; i < kThreads / 32; i++) largest = fmaxf(largest, of_warps[i]);
  return largest;
}

__device__ float rounded(float x, const Int8Scale& scale) {
  return scale.inverse == 0 ? 0 : rintf(x * scale.inverse);
}

// Calls put(place in [m, k], rounded input) for a span of a row, which a block has to itself.
template <class X, class Put>
__device__ void round_span(const LinearInputs& a, std::int64_t span, const Put& put) {
  const std::int64_t num_spans = a.k / span, row = blockIdx.x / num_spans,
                     first = blockIdx.x % num_spans * span;
  const X* x = static_cast<const X*>(a.x) + row * a.stride + first;
  const Int8Scale scale = int8_scale(largest_magnitude(x, span));
  for (std::int64_t i = threadIdx.x; i < span; i += kThreads)
    put(row * a.k + first + i, rounded(to_float(x[i]), scale) * scale.scale);
}

template <class X>
__global__ void round_inputs(const LinearInputs a, std::int64_t span, float* y) {
  enter_chain();
  round_span<X>(a, span, [&](std::int64_t at, float value) { y[at] = value; });
}

template <class X>
__global__ void split_rounded_inputs(const LinearInputs a, std::int64_t span, X* y) {
  enter_chain();
  X* rest = y + a.m * a.k;
  round_span<X>(a, span, [&](std::int64_t at, float value) {
    const X upper = from_float<X>(value);
    y[at] = upper;
    rest[at] = from_float<X>(value - to_float(upper));
  });
}

template <class X>
__global__ void int8_inputs(const LinearInputs a, X* y, float* scales) {
  enter_chain();
  const std::int64_t row = blockIdx.x;
  const X* x = static_cast<const X*>(a.x) + row * a.stride;
  const Int8Scale scale = int8_scale(largest_magnitude(x, a.k));
  for (std::int64_t i = threadIdx.x; i < a.k; i += kThreads)
    y[row * a.k + i] = from_float<X>(rounded(to_float(x[i]), scale));
  if (threadIdx.x == 0) scales[row] = scale.scale;
}

__global__ void add_slices(const float* partial, int num_slices, std::int64_t m, std::int64_t n,
                           const LinearOutput out) {
  enter_chain();
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= n) return;
  for (std::int64_t row = blockIdx.y; row < m; row += gridDim.y) {
    float sum = 0;
    for (int slice = 0; slice < num_slices; slice++) sum += partial[(slice * m + row) * n + column];
    put(out, row, column, sum);
  }
}

dim3 grid_of(std::int64_t m, std::int64_t n) {
  constexpr std::int64_t kMaxRows = 65535;  // of a grid's second dimension
  return {static_cast<unsigned>(divide_up(n, kThreads)), static_cast<unsigned>(m < kMaxRows ? m : kMaxRows)};
}

}  // namespace

cudaError_t launch_pad_inputs(const LinearInputs& inputs, std::int64_t group_size, std::int64_t padded_group,
                              std::int64_t padded_k, DType y_dtype, void* y, cudaStream_t stream) {
  const Padding padding{group_size, padded_group, padded_k};
  const dim3 grid = grid_of(inputs.m, padded_k);
  cudaError_t status = cudaSuccess;
  with_float_type(inputs.dtype, [&](auto x) {
    using X = decltype(x);
    if (y_dtype == DType::f32)
      status = launch_chained(pad_inputs<X, float>, grid, kThreads, 0, stream, inputs, padding,
                              static_cast<float*>(y));
    else
      status =
          launch_chained(pad_inputs<X, X>, grid, kThreads, 0, stream, inputs, padding, static_cast<X*>(y));
  });
  return status;
}

cudaError_t launch_round_inputs(const LinearInputs& inputs, std::int64_t span, float* y,
                                cudaStream_t stream) {
  const auto num_blocks = static_cast<unsigned>(inputs.m * (inputs.k / span));
  cudaError_t status = cudaSuccess;
  with_float_type(inputs.dtype, [&](auto x) {
    status = launch_chained(round_inputs<decltype(x)>, num_blocks, kThreads, 0, stream, inputs, span, y);
  });
  return status;
}

cudaError_t launch_split_rounded_inputs(const LinearInputs& inputs, std::int64_t span, void* y,
                                        cudaStream_t stream) {
  const auto num_blocks = static_cast<unsigned>(inputs.m * (inputs.k / span));
  if (inputs.dtype == DType::f16)
    return launch_chained(split_rounded_inputs<__half>, num_blocks, kThreads, 0, stream, inputs, span,
                          static_cast<__half*>(y));
  return launch_chained(split_rounded_inputs<__nv_bfloat16>, num_blocks, kThreads, 0, stream, inputs, span,
                        static_cast<__nv_bfloat16*>(y));
}

cudaError_t launch_int8_inputs(const LinearInputs& inputs, void* y, float* scales, cudaStream_t stream) {
  const auto num_blocks = static_cast<unsigned>(inputs.m);
  cudaError_t status = cudaSuccess;
  with_float_type(inputs.dtype, [&](auto x) {
    using X = decltype(x);
    status =
        launch_chained(int8_inputs<X>, num_blocks, kThreads, 0, stream, inputs, static_cast<X*>(y), scales);
  });
  return status;
}

cudaError_t launch_add_slices(const float* partial, int num_slices, std::int64_t m, std::int64_t n,
                              const LinearOutput& out, cudaStream_t stream) {
  return launch_chained(add_slices, grid_of(m, n), kThreads, 0, stream, partial, num_slices, m, n, out);
}

cudaError_t launch_add_bias(const LinearOutput& out, std::int64_t m, std::int64_t n, cudaStream_t stream) {
  return launch_add_slices(nullptr, 0, m, n, out, stream);
}

}  // namespace lmdeploy::ops::cuda
