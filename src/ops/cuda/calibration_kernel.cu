#include "ops/cuda/block_reduce.cuh"
#include "ops/cuda/calibration_kernel.h"
#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/device_float.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32;     // of a transposition: elements each way
constexpr int kTileRows = 8;  // of threads: each moves kTile / kTileRows elements
constexpr std::int64_t kMaxGridY = 65535;

// Rows may be many, pieces of a row are few: grid.x, grid.y.
dim3 grid_of(std::int64_t num_rows, std::int64_t k) {
  const std::int64_t pieces = divide_up(k, kThreads);
  return dim3(static_cast<unsigned>(num_rows),
              static_cast<unsigned>(pieces < kMaxGridY ? pieces : kMaxGridY));
}

__device__ std::int64_t first_column() {
  return static_cast<std::int64_t>(blockIdx.y) * kThreads + threadIdx.x;
}
__device__ std::int64_t column_step() {
  return static_cast<std::int64_t>(gridDim.y) * kThreads;
}

template <class Bits>
__global__ void transpose_tiles(const Bits* x, std::int64_t x_stride, Bits* y, std::int64_t y_stride,
                                std::int64_t m, std::int64_t k) {
  __shared__ Bits tile[kTile][kTile + 1];
  enter_chain();
  const std::int64_t tiles_across = divide_up(k, kTile), first_row = blockIdx.x / tiles_across * kTile,
                     first_column = blockIdx.x % tiles_across * kTile;
  const int across = static_cast<int>(threadIdx.x), down = static_cast<int>(threadIdx.y);
  for (int i = down; i < kTile; i += kTileRows)
    if (first_row + i < m && first_column + across < k)
      tile[i][across] = x[(first_row + i) * x_stride + first_column + across];
  __syncthreads();
  for (int i = down; i < kTile; i += kTileRows)
    if (first_column + i < k && first_row + across < m)
      y[(first_column + i) * y_stride + first_row + across] = tile[across][i];
}

template <class Bits>
cudaError_t transpose(const FloatRows& x, const FloatRows& y, std::int64_t m, std::int64_t k,
                      cudaStream_t stream) {
  const auto num_tiles = static_cast<unsigned>(divide_up(m, kTile) * divide_up(k, kTile));
  return launch_chained(transpose_tiles<Bits>, num_tiles, dim3(kTile, kTileRows), 0, stream,
                        static_cast<const Bits*>(x.data), x.stride, static_cast<Bits*>(y.data), y.stride, m,
                        k);
}

template <class T>
__global__ void subtract_rows(const T* a, std::int64_t a_stride, const T* b, std::int64_t b_stride, T* y,
                              std::int64_t y_stride, std::int64_t k) {
  enter_chain();
  const std::int64_t row = blockIdx.x;
  for (std::int64_t i = first_column(); i < k; i += column_step())
    y[row * y_stride + i] = from_float<T>(to_float(a[row * a_stride + i]) - to_float(b[row * b_stride + i]));
}

__global__ void multiply_columns_of_rows(const float* x, std::int64_t x_stride, const float* factors,
                                         float* y, std::int64_t y_stride, std::int64_t k) {
  enter_chain();
  const std::int64_t row = blockIdx.x;
  for (std::int64_t i = first_column(); i < k; i += column_step())
    y[row * y_stride + i] = x[row * x_stride + i] * factors[i];
}

// A thread takes one channel through one chunk of tokens.
template <class T>
__global__ void channels_of_chunks(const T* x, std::int64_t x_stride, std::int64_t num_rows, std::int64_t k,
                                   const ChannelPointers chunks) {
  enter_chain();
  const std::int64_t chunk = blockIdx.x, first_row = chunk * kTokensPerChunk;
  const int count = static_cast<int>(min(static_cast<std::int64_t>(kTokensPerChunk), num_rows - first_row));
  for (std::int64_t c = first_column(); c < k; c += column_step()) {
    const T* from = x + first_row * x_stride + c;
    float peak = 0, sum = 0;
    std::int32_t bad = 0;
#pragma unroll 8
    for (int i = 0; i < count; i++) {
      const float value = fabsf(to_float(from[i * x_stride]));
      const bool finite = isfinite(value);
      peak = fmaxf(peak, finite ? value : 0);
      sum += finite ? value : 0;
      bad += finite ? 0 : 1;
    }
    chunks.abs_max[chunk * k + c] = peak;
    chunks.abs_sum[chunk * k + c] = sum;
    chunks.not_finite[chunk * k + c] = bad;
  }
}

// Chunk after chunk, so that the order of the sum is one. Kahan (1965).
__global__ void add_chunks(const ChannelPointers chunks, std::int64_t num_chunks, std::int64_t k,
                           const ChannelPointers total, float* left_out) {
  enter_chain();
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= k) return;
  float peak = total.abs_max[c], sum = total.abs_sum[c], rest = left_out[c];
  std::int32_t bad = total.not_finite[c];
  for (std::int64_t chunk = 0; chunk < num_chunks; chunk++) {
    peak = fmaxf(peak, chunks.abs_max[chunk * k + c]);
    bad += chunks.not_finite[chunk * k + c];
    const float term = chunks.abs_sum[chunk * k + c] + rest, next = sum + term;
    rest = term - (next - sum);
    sum = next;
  }
  total.abs_max[c] = peak;
  total.abs_sum[c] = sum;
  left_out[c] = rest;
  total.not_finite[c] = bad;
}

__global__ void __launch_bounds__(kThreads)
    squares_of_rows(const float* x, std::int64_t x_stride, std::int64_t n, double* sums) {
  enter_chain();
  const float* row = x + static_cast<std::int64_t>(blockIdx.x) * x_stride;
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) {
    const double value = static_cast<double>(row[i]);
    sum += value * value;
  }
  sum = reduce_block<kThreads>(sum, Add{});
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

}  // namespace

cudaError_t launch_transpose(const FloatRows& x, const FloatRows& y, std::int64_t m, std::int64_t k,
                             cudaStream_t stream) {
  if (m == 0 || k == 0) return cudaSuccess;
  return x.dtype == DType::f32 ? transpose<std::uint32_t>(x, y, m, k, stream)
                               : transpose<std::uint16_t>(x, y, m, k, stream);
}

cudaError_t launch_subtract(const FloatRows& a, const FloatRows& b, const FloatRows& y, std::int64_t num_rows,
                            std::int64_t k, cudaStream_t stream) {
  if (num_rows == 0 || k == 0) return cudaSuccess;
  cudaError_t status = cudaSuccess;
  with_float_type(a.dtype, [&](auto type) {
    using T = decltype(type);
    status = launch_chained(subtract_rows<T>, grid_of(num_rows, k), kThreads, 0, stream,
                            static_cast<const T*>(a.data), a.stride, static_cast<const T*>(b.data), b.stride,
                            static_cast<T*>(y.data), y.stride, k);
  });
  return status;
}

cudaError_t launch_multiply_columns(const float* x, std::int64_t x_stride, const float* factors, float* y,
                                    std::int64_t y_stride, std::int64_t num_rows, std::int64_t k,
                                    cudaStream_t stream) {
  if (num_rows == 0 || k == 0) return cudaSuccess;
  return launch_chained(multiply_columns_of_rows, grid_of(num_rows, k), kThreads, 0, stream, x, x_stride,
                        factors, y, y_stride, k);
}

cudaError_t launch_channel_statistics(const FloatRows& x, std::int64_t num_rows, std::int64_t k,
                                      const ChannelPointers& chunks, const ChannelPointers& total,
                                      float* left_out, cudaStream_t stream) {
  if (num_rows == 0 || k == 0) return cudaSuccess;
  const std::int64_t num_chunks = divide_up(num_rows, kTokensPerChunk);
  cudaError_t status = cudaSuccess;
  with_float_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    status = launch_chained(channels_of_chunks<T>, grid_of(num_chunks, k), kThreads, 0, stream,
                            static_cast<const T*>(x.data), x.stride, num_rows, k, chunks);
  });
  if (status != cudaSuccess) return status;
  return launch_chained(add_chunks, static_cast<unsigned>(divide_up(k, kThreads)), kThreads, 0, stream,
                        chunks, num_chunks, k, total, left_out);
}

cudaError_t launch_row_squares(const float* x, std::int64_t x_stride, std::int64_t num_rows, std::int64_t n,
                               double* sums, cudaStream_t stream) {
  if (num_rows == 0) return cudaSuccess;
  return launch_chained(squares_of_rows, static_cast<unsigned>(num_rows), kThreads, 0, stream, x, x_stride, n,
                        sums);
}

}  // namespace lmdeploy::ops::cuda
