#include <algorithm>

#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/quads.cuh"
#include "ops/cuda/rotation.cuh"
#include "ops/cuda/row_ops_kernel.h"
#include "ops/cuda/silu.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;

// Rows may be many, pieces of a row are few: grid.x, grid.y.
dim3 grid_of(std::int64_t num_rows, std::int64_t threads_per_row) {
  constexpr std::int64_t kMaxGridY = 65535;
  return dim3(static_cast<unsigned>(num_rows),
              static_cast<unsigned>(std::min(divide_up(threads_per_row, kThreads), kMaxGridY)));
}

__device__ std::int64_t thread_of_row() {
  return static_cast<std::int64_t>(blockIdx.y) * kThreads + threadIdx.x;
}

// Calls f with std::true_type or std::false_type.
template <class F>
void with_bool(bool value, const F& f) {
  if (value)
    f(std::true_type{});
  else
    f(std::false_type{});
}

template <class T>
T* rows_of(const FloatRows& rows, T) {
  return static_cast<T*>(rows.data);
}

template <bool kAligned, class From, class To>
__global__ void convert_rows(const From* from, std::int64_t from_stride, const std::int32_t* ids, To* to,
                             std::int64_t to_stride, std::int64_t k) {
  enter_chain();
  const std::int64_t row = blockIdx.x, source = ids == nullptr ? row : ids[row];
  for (std::int64_t i = thread_of_row(); 4 * i < k; i += static_cast<std::int64_t>(gridDim.y) * kThreads)
    store_quad<kAligned>(to + row * to_stride, i, k, load_quad<kAligned>(from + source * from_stride, i, k));
}

template <bool kAligned>
__global__ void rope_rows(float* x, std::int64_t x_stride, const float* table, std::int64_t table_stride,
                          int num_heads, int half) {
  enter_chain();
  const int quads = static_cast<int>(divide_up(half, 4)), i = static_cast<int>(thread_of_row()),
            j = i % quads;
  const std::int64_t row = blockIdx.x;
  if (i >= num_heads * quads) return;
  float* first = x + row * x_stride + static_cast<std::int64_t>(i / quads) * 2 * half;
  float* second = first + half;
  const float* angles = table + row * table_stride;
  const float4 c = load_quad<kAligned>(angles, j, half), s = load_quad<kAligned>(angles + half, j, half),
               a = load_quad<kAligned>(first, j, half), b = load_quad<kAligned>(second, j, half);
  store_quad<kAligned>(first, j, half,
                       {rotated_first(a.x, b.x, c.x, s.x), rotated_first(a.y, b.y, c.y, s.y),
                        rotated_first(a.z, b.z, c.z, s.z), rotated_first(a.w, b.w, c.w, s.w)});
  store_quad<kAligned>(second, j, half,
                       {rotated_second(a.x, b.x, c.x, s.x), rotated_second(a.y, b.y, c.y, s.y),
                        rotated_second(a.z, b.z, c.z, s.z), rotated_second(a.w, b.w, c.w, s.w)});
}

// The angle is the product in f32, as the CPU's op and the models' own code have it; its cosine is exact,
// which the fast functions are not at a position of a million.
__global__ void rope_table_rows(const std::int32_t* positions,
                                const __grid_constant__ RopeFrequencies frequencies, int count, int half,
                                float scale, float* y, std::int64_t y_stride) {
  enter_chain();
  const std::int64_t row = blockIdx.x;
  const int j = static_cast<int>(thread_of_row());
  if (j >= count) return;
  const float angle = static_cast<float>(positions[row]) * frequencies.at[j];
  double sine, cosine;
  sincos(static_cast<double>(angle), &sine, &cosine);
  y[row * y_stride + j] = static_cast<float>(cosine) * scale;
  y[row * y_stride + half + j] = static_cast<float>(sine) * scale;
}

template <bool kAligned, class X, class T>
__global__ void silu_mul_rows(const X* x, std::int64_t x_stride, T* y, std::int64_t y_stride,
                              std::int64_t k) {
  enter_chain();
  const std::int64_t i = thread_of_row(), row = blockIdx.x;
  if (4 * i >= k) return;
  const float4 gate = load_quad<kAligned>(x + row * x_stride, i, k),
               up = load_quad<kAligned>(x + row * x_stride + k, i, k);
  store_quad<kAligned>(y + row * y_stride, i, k,
                       {silu(gate.x) * up.x, silu(gate.y) * up.y, silu(gate.z) * up.z, silu(gate.w) * up.w});
}

template <class Bits>
__global__ void gather_rows(const Bits* x, std::int64_t x_stride, const std::int32_t* order, Bits* y,
                            std::int64_t y_stride, std::int64_t n) {
  enter_chain();
  const std::int64_t j = thread_of_row(), row = blockIdx.x;
  if (j < n) y[row * y_stride + j] = x[row * x_stride + order[j]];
}

template <class Bits>
void gather(const GatherArguments& a, cudaStream_t stream) {
  launch_chained(gather_rows<Bits>, grid_of(a.num_rows, a.n), kThreads, 0, stream,
                 static_cast<const Bits*>(a.x), a.x_stride, a.order, static_cast<Bits*>(a.y), a.y_stride,
                 a.n);
}

}  // namespace

cudaError_t launch_convert_rows(const FloatRows& from, const std::int32_t* ids, const FloatRows& to,
                                std::int64_t num_rows, std::int64_t k, cudaStream_t stream) {
  if (num_rows == 0 || k == 0) return cudaSuccess;
  with_float_type(from.dtype, [&](auto source_type) {
    with_float_type(to.dtype, [&](auto target_type) {
      const auto* source = rows_of(from, source_type);
      auto* target = rows_of(to, target_type);
      const bool aligned =
          k % 4 == 0 && quads_aligned(source, from.stride) && quads_aligned(target, to.stride);
      with_bool(aligned, [&](auto is_aligned) {
        launch_chained(
            convert_rows<decltype(is_aligned)::value, decltype(source_type), decltype(target_type)>,
            grid_of(num_rows, divide_up(k, 4)), kThreads, 0, stream, source, from.stride, ids, target,
            to.stride, k);
      });
    });
  });
  return cudaGetLastError();
}

cudaError_t launch_rope_table(const std::int32_t* positions, const RopeFrequencies& frequencies, int first,
                              int count, int half, float scale, float* y, std::int64_t y_stride,
                              std::int64_t num_rows, cudaStream_t stream) {
  if (num_rows == 0 || count == 0) return cudaSuccess;
  return launch_chained(rope_table_rows, grid_of(num_rows, count), kThreads, 0, stream, positions,
                        frequencies, count, half, scale, y + first, y_stride);
}

cudaError_t launch_rope(float* x, std::int64_t x_stride, const float* table, std::int64_t table_stride,
                        std::int64_t num_rows, std::int64_t num_heads, std::int64_t half,
                        cudaStream_t stream) {
  if (num_rows == 0 || num_heads == 0 || half == 0) return cudaSuccess;
  const bool aligned = half % 4 == 0 && quads_aligned(x, x_stride) && quads_aligned(table, table_stride);
  with_bool(aligned, [&](auto is_aligned) {
    launch_chained(rope_rows<decltype(is_aligned)::value>, grid_of(num_rows, num_heads * divide_up(half, 4)),
                   kThreads, 0, stream, x, x_stride, table, table_stride, static_cast<int>(num_heads),
                   static_cast<int>(half));
  });
  return cudaGetLastError();
}

cudaError_t launch_silu_mul(const FloatRows& x, const FloatRows& y, std::int64_t num_rows, std::int64_t k,
                            cudaStream_t stream) {
  if (num_rows == 0 || k == 0) return cudaSuccess;
  cudaError_t status = cudaSuccess;
  with_float_type(y.dtype, [&](auto type) {
    using T = decltype(type);
    auto* target = rows_of(y, type);
    const auto launch = [&](auto source_type) {
      const auto* source = rows_of(x, source_type);
      const bool aligned = k % 4 == 0 && quads_aligned(source, x.stride) && quads_aligned(target, y.stride);
      with_bool(aligned, [&](auto is_aligned) {
        status = launch_chained(silu_mul_rows<decltype(is_aligned)::value, decltype(source_type), T>,
                                grid_of(num_rows, divide_up(k, 4)), kThreads, 0, stream, source, x.stride,
                                target, y.stride, k);
      });
    };
    if (x.dtype == DType::f32)
      launch(float{});
    else
      launch(type);
  });
  return status;
}

cudaError_t launch_gather_columns(const GatherArguments& arguments, cudaStream_t stream) {
  if (arguments.num_rows == 0 || arguments.n == 0) return cudaSuccess;
  if (arguments.element_bytes == 4)
    gather<std::uint32_t>(arguments, stream);
  else
    gather<std::uint16_t>(arguments, stream);
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
