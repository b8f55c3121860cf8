#include "ops/cuda/dequantize_kernel.h"
#include "ops/cuda/device_float.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;

__device__ std::uint32_t half_byte(std::uint32_t word, int rotation, int i) {
  return __funnelshift_r(word, word, rotation) >> (i / 2 * 4 + i % 2 * 16) & 0xfU;
}

__device__ float scale_at(const QuantizedMatrixPointers& w, std::int64_t at) {
  if (w.layout.scale_dtype == DType::f16) return to_float(static_cast<const __half*>(w.scales())[at]);
  if (w.layout.scale_dtype == DType::bf16) return to_float(static_cast<const __nv_bfloat16*>(w.scales())[at]);
  return static_cast<const float*>(w.scales())[at];
}

// Input i of eight. The bits of E4M3 as exponent and mantissa of a float are too small by the difference of
// the biases.
__device__ float e4m3_at(std::uint32_t first, std::uint32_t last, int i) {
  const std::uint32_t byte = (i < 4 ? first : last) >> (8 * e4m3_byte(i % 4));
  return __uint_as_float((byte & 0x80U) << 24 | (byte & 0x7fU) << 20) * 0x1p120F;
}

// Eight inputs of a row. `high`: the upper halves of integers of 8 bits, the last four of E4M3.
__device__ void dequantize_piece(const QuantizedMatrixPointers& w, std::int64_t row, std::int64_t group,
                                 std::uint32_t low, std::uint32_t high, float (&values)[8]) {
  const std::int64_t at = w.layout.scale_index(row, group);
  const float scale = scale_at(w, at);
  if (w.layout.code == WeightCode::e4m3) {
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = e4m3_at(low, high, i) * scale;
    return;
  }
  const int zero = static_cast<const std::uint8_t*>(w.zeros())[at], rotation = w.layout.rotation();
#pragma unroll
  for (int i = 0; i < 8; i++) {
    std::uint32_t q = half_byte(low, rotation, i);
    if (w.layout.bits == 8) q |= half_byte(high, rotation, i) << 4;
    values[i] = static_cast<float>(static_cast<int>(q) - zero) * scale;
  }
}

// Where eight inputs of a row go: `piece` counts them with the groups filled up.
template <class Y>
__device__ void store_piece(const QuantizedLayout& layout, std::int64_t piece, const float (&values)[8],
                            Y* row) {
  const std::int64_t group = piece * kPieceInputs / layout.padded_group(),
                     in_group = piece * kPieceInputs % layout.padded_group();
#pragma unroll
  for (int i = 0; i < 8; i++)
    if (in_group + i < layout.group_size)
      row[group * layout.group_size + in_group + i] = from_float<Y>(values[i]);
}

template <class Y>
__device__ void store_whole_piece(const float (&values)[8], Y* to) {
  constexpr int kPerStore = 16 / sizeof(Y);
#pragma unroll
  for (int i = 0; i < 8; i += kPerStore) {
    alignas(16) Y packed[kPerStore];
#pragma unroll
    for (int j = 0; j < kPerStore; j++) packed[j] = from_float<Y>(values[i + j]);
    *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(packed);
  }
}

__global__ void dequantize_rows(const QuantizedMatrixPointers w, const std::int32_t* ids, float* y,
                                std::int64_t y_stride) {
  const std::int64_t row = ids[blockIdx.x];
  const auto* words = static_cast<const std::uint32_t*>(w.words());
  const std::int64_t pieces_per_group = w.layout.padded_group() / kPieceInputs;
  for (std::int64_t piece = threadIdx.x; piece < w.layout.num_groups() * pieces_per_group;
       piece += kThreads) {
    const std::int64_t at = w.layout.word_index(row, piece);
    float values[8];
    dequantize_piece(w, row, piece / pieces_per_group, words[at], w.layout.bits == 8 ? words[at + 1] : 0,
                     values);
    store_piece(w.layout, piece, values, y + blockIdx.x * y_stride);
  }
}

// A lane for each 16 bytes of words.
template <class Y>
__global__ void dequantize_slice(const QuantizedMatrixPointers w, std::int64_t first_row,
                                 std::int64_t num_rows, std::int64_t num_lanes, Y* y) {
  const std::int64_t idx = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (idx >= num_lanes) return;
  const QuantizedLayout& layout = w.layout;
  const std::int64_t chunks = layout.num_chunks(), lane = idx % 32, chunk = idx / 32 % chunks,
                     tile = idx / 32 / chunks;
  const std::int64_t pieces_per_group = layout.padded_group() / kPieceInputs;
  const bool whole_pieces = layout.padded_group() == layout.group_size && layout.k % kPieceInputs == 0;
  const uint4 v = static_cast<const uint4*>(w.words())[first_row / kTileRows * chunks * 32 + idx];
  const bool four_bits = layout.bits == 4;
#pragma unroll
  for (int i = 0; i < 4; i++) {  // outputs g and g + 8 of one or two runs of 32 inputs
    const int upper = i % 2, atom = i / 2;
    if (!four_bits && atom == 1) break;
    const std::int64_t row = tile * kTileRows + lane / 4 + upper * 8;
    const std::int64_t piece = (four_bits ? chunk * 2 + atom : chunk) * 4 + lane % 4,
                       group = piece / pieces_per_group;
    if (row >= num_rows || group >= layout.num_groups()) continue;
    const std::uint32_t low = four_bits ? (atom == 0 ? (upper == 0 ? v.x : v.y) : (upper == 0 ? v.z : v.w))
                                        : (upper == 0 ? v.x : v.z);
    float values[8];
    dequantize_piece(w, first_row + row, group, low, upper == 0 ? v.y : v.w, values);
    Y* to = y + row * layout.k;
    if (whole_pieces)
      store_whole_piece(values, to + piece * kPieceInputs);
    else
      store_piece(layout, piece, values, to);
  }
}

}  // namespace

cudaError_t launch_dequantize_rows(const QuantizedMatrixPointers& w, const std::int32_t* ids,
                                   std::int64_t num_rows, float* y, std::int64_t y_stride,
                                   cudaStream_t stream) {
  if (num_rows == 0) return cudaSuccess;
  dequantize_rows<<<static_cast<unsigned>(num_rows), kThreads, 0, stream>>>(w, ids, y, y_stride);
  return cudaGetLastError();
}

cudaError_t launch_dequantize_slice(const QuantizedMatrixPointers& w, std::int64_t first_row,
                                    std::int64_t num_rows, DType y_dtype, void* y, cudaStream_t stream) {
  const std::int64_t num_lanes = divide_up(num_rows, kTileRows) * w.layout.num_chunks() * 32;
  with_float_type(y_dtype, [&](auto type) {
    using Y = decltype(type);
    dequantize_slice<Y><<<static_cast<unsigned>(divide_up(num_lanes, kThreads)), kThreads, 0, stream>>>(
        w, first_row, num_rows, num_lanes, static_cast<Y*>(y));
  });
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
