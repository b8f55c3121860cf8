#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/rms_norm.cuh"
#include "ops/cuda/row_ops_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

// Of threadIdx.x, all of which are of one row; in every thread. Rows of one warp need no shared memory.
__device__ float sum_of_row(float x) {
  __shared__ float sums[kMaxNormThreads / kNormLanes];
  x = sum_of_warp(x);
  const unsigned num_warps = blockDim.x / kNormLanes, lane = threadIdx.x % kNormLanes;
  if (num_warps == 1) return x;
  if (lane == 0) sums[threadIdx.x / kNormLanes] = x;
  __syncthreads();
  return sum_of_warp(lane < num_warps ? sums[lane] : 0.0F);
}

// threadIdx.x walks a group of d elements, threadIdx.y and blockIdx.x say which. y may be x: a quad is read
// and written by one thread. One row costs what it waits for: all that does not depend on x is done before.
template <bool kAligned, class T>
__global__ void __launch_bounds__(kMaxNormThreads) rms_norm_groups(const RmsNormArguments a, T* y_rows) {
  const unsigned group = blockIdx.x * blockDim.y + threadIdx.y,
                 groups_per_row = static_cast<unsigned>(a.groups_per_row);
  const std::int64_t row = group / groups_per_row, begin = group % groups_per_row * a.d,
                     num_quads = divide_up(a.d, 4), step = blockDim.x;
  const float* x = a.x + row * a.x_stride + begin;
  T* y = y_rows + row * a.y.stride + begin;

  const float inverse_d = 1 / static_cast<float>(a.d);
  float4 held[kNormQuads], weights[kNormQuads];
  float sum = 0;
#pragma unroll
  for (int j = 0; j < kNormQuads; j++) {
    const std::int64_t i = threadIdx.x + j * step;
    if (i < num_quads) weights[j] = load_quad<kAligned>(a.weight, i, a.d);
  }
  enter_chain();
  if (group >= a.num_rows * a.groups_per_row) return;  // whole warps, and only where a group is one warp's
#pragma unroll
  for (int j = 0; j < kNormQuads; j++) {
    const std::int64_t i = threadIdx.x + j * step;
    held[j] = i < num_quads ? load_quad<kAligned>(x, i, a.d) : float4{0, 0, 0, 0};
  }
#pragma unroll
  for (int j = 0; j < kNormQuads; j++) sum += sum_of_squares(held[j]);
#pragma unroll 1  // few rows are that long, and every row would wait for the code
  for (std::int64_t i = threadIdx.x + kNormQuads * step; i < num_quads; i += step)
    sum += sum_of_squares(load_quad<kAligned>(x, i, a.d));

  const float factor = norm_factor(sum_of_row(sum), inverse_d, a.eps);
#pragma unroll
  for (int j = 0; j < kNormQuads; j++) {
    const std::int64_t i = threadIdx.x + j * step;
    if (i < num_quads) store_quad<kAligned>(y, i, a.d, normed(held[j], factor, weights[j]));
  }
#pragma unroll 1
  for (std::int64_t i = threadIdx.x + kNormQuads * step; i < num_quads; i += step)
    store_quad<kAligned>(
        y, i, a.d, normed(load_quad<kAligned>(x, i, a.d), factor, load_quad<kAligned>(a.weight, i, a.d)));
}

// Of d alone, so that a row's sum does not depend on its company.
dim3 block_of(std::int64_t d) {
  constexpr unsigned kNarrowRows = 4;
  const auto threads = static_cast<unsigned>(norm_threads(d));
  return dim3(threads, threads == kNormLanes ? kNarrowRows : 1);
}

template <bool kAligned, class T>
cudaError_t rms_norm(const RmsNormArguments& a, T* y, cudaStream_t stream) {
  const dim3 block = block_of(a.d);
  const auto num_blocks = static_cast<unsigned>(divide_up(a.num_rows * a.groups_per_row, block.y));
  return launch_chained(rms_norm_groups<kAligned, T>, num_blocks, block, 0, stream, a, y);
}

}  // namespace

cudaError_t launch_rms_norm(const RmsNormArguments& arguments, cudaStream_t stream) {
  if (arguments.num_rows * arguments.groups_per_row * arguments.d == 0) return cudaSuccess;
  cudaError_t status = cudaSuccess;
  with_float_type(arguments.y.dtype, [&](auto type) {
    auto* y = static_cast<decltype(type)*>(arguments.y.data);
    if (arguments.d % 4 == 0 && quads_aligned(arguments.x, arguments.x_stride) &&
        quads_aligned(arguments.weight, 0) && quads_aligned(y, arguments.y.stride))
      status = rms_norm<true>(arguments, y, stream);
    else
      status = rms_norm<false>(arguments, y, stream);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
