#include "ops/cuda/device_float.cuh"
#include "ops/cuda/pack_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;

// The words of eight inputs of a row. `count` of them are there.
__device__ void pack_piece(const std::uint8_t* q, std::int64_t count, int rotation, std::uint32_t& low,
                           std::uint32_t& high) {
  low = high = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const std::uint32_t value = i < count ? q[i] : 0;
    const int shift = i / 2 * 4 + i % 2 * 16;
    low |= (value & 0xfU) << shift;
    high |= (value >> 4) << shift;
  }
  low = __funnelshift_l(low, low, rotation);
  high = __funnelshift_l(high, high, rotation);
}

// The same of E4M3: the first four inputs and the last.
__device__ void pack_e4m3_piece(const std::uint8_t* q, std::int64_t count, std::uint32_t& first,
                                std::uint32_t& last) {
  first = last = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const std::uint32_t value = i < count ? q[i] : 0;
    (i < 4 ? first : last) |= value << (8 * e4m3_byte(i % 4));
  }
}

// A thread for each piece of a row, counted as the words lie: consecutive threads write consecutive words and
// read 32 bytes of a row together.
__global__ void pack_words(const PackSource source, const QuantizedMatrixPointers matrix,
                           std::int64_t first_row, std::int64_t num_pieces) {
  const std::int64_t idx = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (idx >= num_pieces) return;
  const QuantizedLayout& layout = matrix.layout;
  const std::int64_t per_lane = layout.bits == 4 ? 4 : 2, in_lane = idx % per_lane,
                     lane = idx / per_lane % 32;
  const std::int64_t chunk = idx / per_lane / 32 % layout.num_chunks(),
                     tile = idx / per_lane / 32 / layout.num_chunks();
  const std::int64_t row = (first_row / kTileRows + tile) * kTileRows + lane / 4 + in_lane % 2 * 8;
  const std::int64_t piece = (layout.bits == 4 ? chunk * 2 + in_lane / 2 : chunk) * 4 + lane % 4;
  if (row < first_row || row >= first_row + source.num_rows) return;

  const std::int64_t group = piece * kPieceInputs / layout.padded_group(),
                     in_group = piece * kPieceInputs % layout.padded_group();
  const bool any = group < layout.num_groups() && in_group < layout.group_size;
  const std::uint8_t* q = source.q + (row - first_row) * layout.k + group * layout.group_size + in_group;
  const std::int64_t count = any ? layout.group_size - in_group : 0;
  std::uint32_t low, high;
  if (layout.code == WeightCode::e4m3)
    pack_e4m3_piece(q, count, low, high);
  else
    pack_piece(q, count, layout.rotation(), low, high);
  std::uint32_t* word = static_cast<std::uint32_t*>(matrix.data) + layout.word_index(row, piece);
  word[0] = low;
  if (layout.bits == 8) word[1] = high;
}

__global__ void pack_scales(const PackSource source, const QuantizedMatrixPointers matrix,
                            std::int64_t first_row) {
  const std::int64_t idx = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t num_groups = matrix.layout.num_groups();
  if (idx >= source.num_rows * num_groups) return;
  char* data = static_cast<char*>(matrix.data);
  const std::int64_t at = matrix.layout.scale_index(first_row + idx / num_groups, idx % num_groups);
  char* scales = data + matrix.layout.scales_offset();
  if (matrix.layout.scale_dtype == DType::f16)
    reinterpret_cast<__half*>(scales)[at] = from_float<__half>(source.scales[idx]);
  else if (matrix.layout.scale_dtype == DType::bf16)
    reinterpret_cast<__nv_bfloat16*>(scales)[at] = from_float<__nv_bfloat16>(source.scales[idx]);
  else
    reinterpret_cast<float*>(scales)[at] = source.scales[idx];
  if (matrix.layout.has_zeros())
    data[matrix.layout.zeros_offset() + at] = static_cast<char>(source.zeros[idx]);
}

struct Grid {
  float scale;
  int zero;
};

// The grid of 2^bits values that spans [low, high], with 0 in it.
__device__ Grid grid_of(float low, float high, float top, DType scale_dtype) {
  float scale = high / top - low / top;
  if (scale_dtype == DType::f16) scale = to_float(from_float<__half>(scale));
  if (scale_dtype == DType::bf16) scale = to_float(from_float<__nv_bfloat16>(scale));
  if (!(scale > 0)) return {0, 0};
  return {scale, static_cast<int>(fminf(top, rintf(-low / scale)))};
}

// A warp for each group.
template <class X>
__global__ void quantize_groups(const X* x, std::int64_t num_groups, std::int64_t group_size, int bits,
                                DType scale_dtype, const QuantizeTarget target) {
  const std::int64_t group = std::int64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32;
  if (group >= num_groups) return;
  const int lane = threadIdx.x % 32;
  x += group * group_size;
  float low = 0, high = 0;
  bool finite = true;
  for (std::int64_t i = lane; i < group_size; i += 32) {
    const float value = to_float(x[i]);
    low = fminf(low, value), high = fmaxf(high, value), finite = finite && isfinite(value);
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    low = fminf(low, __shfl_xor_sync(~0U, low, step));
    high = fmaxf(high, __shfl_xor_sync(~0U, high, step));
  }
  finite = __all_sync(~0U, finite);
  const float top = static_cast<float>((1 << bits) - 1);
  const Grid grid = finite ? grid_of(low, high, top, scale_dtype) : Grid{0, 0};
  if (lane == 0) {
    target.scales[group] = finite ? grid.scale : __int_as_float(0x7fffffff);
    target.zeros[group] = static_cast<std::uint8_t>(grid.zero);
  }
  for (std::int64_t i = lane; i < group_size; i += 32) {
    const float value = grid.scale > 0 ? to_float(x[i]) / grid.scale + static_cast<float>(grid.zero) : 0;
    target.q[group * group_size + i] = static_cast<std::uint8_t>(rintf(fminf(fmaxf(value, 0.0F), top)));
  }
}

unsigned blocks_of(std::int64_t num_threads) {
  return static_cast<unsigned>(divide_up(num_threads, kThreads));
}

}  // namespace

cudaError_t launch_pack(const PackSource& source, const QuantizedMatrixPointers& matrix,
                        std::int64_t first_row, cudaStream_t stream) {
  const std::int64_t num_tiles = divide_up(first_row + source.num_rows, kTileRows) - first_row / kTileRows;
  const std::int64_t num_pieces = num_tiles * kTileRows * matrix.layout.padded_k() / kPieceInputs;
  pack_words<<<blocks_of(num_pieces), kThreads, 0, stream>>>(source, matrix, first_row, num_pieces);
  pack_scales<<<blocks_of(source.num_rows * matrix.layout.num_groups()), kThreads, 0, stream>>>(
      source, matrix, first_row);
  return cudaGetLastError();
}

cudaError_t launch_quantize(const void* x, DType x_dtype, std::int64_t num_rows,
                            const QuantizedLayout& layout, const QuantizeTarget& target,
                            cudaStream_t stream) {
  const std::int64_t num_groups = num_rows * layout.num_groups();
  with_float_type(x_dtype, [&](auto type) {
    using X = decltype(type);
    quantize_groups<X><<<blocks_of(num_groups * 32), kThreads, 0, stream>>>(
        static_cast<const X*>(x), num_groups, layout.group_size, layout.bits, layout.scale_dtype, target);
  });
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
