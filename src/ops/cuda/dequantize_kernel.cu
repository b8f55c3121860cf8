#include "ops/cuda/chained_launch.cuh"
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

// A slice of whole tiles; all divisions but those by constants are done by the host.
struct Slice {
  QuantizedMatrixPointers w;
  std::int64_t first_tile, num_rows;
  std::uint32_t num_chunks, num_groups, pieces_per_group;
  std::uint32_t blocks_per_tile;
  bool whole_pieces;  // eight inputs of memory are eight of the matrix
};

constexpr std::uint32_t kWarps = kThreads / 32;

// 2^23 + a small integer is what it is as the lowest bits of a mantissa.
__device__ float magic_float(std::uint32_t q) {
  return __uint_as_float(0x4b000000U | q);
}

// Eight inputs of group `at`, as dequantize_piece().
template <WeightCode kCode, int kBits, class Scale>
__device__ void dequantize_words(const QuantizedMatrixPointers& w, std::int64_t at, std::uint32_t low,
                                 std::uint32_t high, float (&values)[8]) {
  const float scale = to_float(static_cast<const Scale*>(w.scales())[at]);
  if constexpr (kCode == WeightCode::e4m3) {
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = e4m3_at(low, high, i) * scale;
    return;
  }
  const std::uint32_t zero = static_cast<const std::uint8_t*>(w.zeros())[at];
  const int rotation = w.layout.rotation();
#pragma unroll
  for (int i = 0; i < 8; i++) {
    std::uint32_t q = half_byte(low, rotation, i);
    if constexpr (kBits == 8) q |= half_byte(high, rotation, i) << 4;
    values[i] = (magic_float(q) - magic_float(zero)) * scale;
  }
}

// A warp for each chunk of a tile, a lane for each 16 bytes of its words: of outputs g and g + 8 one or two
// runs of 32 inputs.
template <class Y, class Scale, WeightCode kCode, int kBits>
__global__ void __launch_bounds__(kThreads) dequantize_slice(const __grid_constant__ Slice a, Y* y) {
  constexpr int kAtoms = kBits == 4 ? 2 : 1;
  const std::uint32_t lane = threadIdx.x % 32, tile = blockIdx.x / a.blocks_per_tile,
                      chunk = blockIdx.x % a.blocks_per_tile * kWarps + threadIdx.x / 32;
  const std::int64_t whole_tile = a.first_tile + tile;
  const bool is_there = chunk < a.num_chunks;
  uint4 v{};
  if (is_there)
    v = __ldg(static_cast<const uint4*>(a.w.words()) + (whole_tile * a.num_chunks + chunk) * 32 + lane);
  enter_chain();
  if (!is_there) return;
#pragma unroll
  for (int atom = 0; atom < kAtoms; atom++) {
    const std::uint32_t piece = (chunk * kAtoms + atom) * 4 + lane % 4, group = piece / a.pieces_per_group;
    if (group >= a.num_groups) continue;
    const std::int64_t at = (whole_tile * a.num_groups + group) * kTileRows + lane / 4 * 2;
#pragma unroll
    for (int upper = 0; upper < 2; upper++) {
      const std::int64_t row = std::int64_t{tile} * kTileRows + lane / 4 + upper * 8;
      if (row >= a.num_rows) continue;
      const std::uint32_t low = kBits == 8 || atom == 0 ? (upper == 0   ? v.x
                                                           : kBits == 4 ? v.y
                                                                        : v.z)
                                                        : (upper == 0 ? v.z : v.w);
      float values[8];
      dequantize_words<kCode, kBits, Scale>(a.w, at + upper, low, upper == 0 ? v.y : v.w, values);
      Y* to = y + row * a.w.layout.k;
      if (a.whole_pieces)
        store_whole_piece(values, to + piece * kPieceInputs);
      else
        store_piece(a.w.layout, piece, values, to);
    }
  }
}

template <class Y, class Scale>
cudaError_t launch_slice(const Slice& slice, Y* y, cudaStream_t stream) {
  const std::int64_t num_tiles = divide_up(slice.num_rows, kTileRows);
  const QuantizedLayout& layout = slice.w.layout;
  return launch_chained(layout.code == WeightCode::e4m3 ? dequantize_slice<Y, Scale, WeightCode::e4m3, 8>
                        : layout.bits == 4              ? dequantize_slice<Y, Scale, WeightCode::integer, 4>
                                                        : dequantize_slice<Y, Scale, WeightCode::integer, 8>,
                        static_cast<unsigned>(num_tiles * slice.blocks_per_tile), kThreads, 0, stream, slice,
                        y);
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
  const QuantizedLayout& layout = w.layout;
  const Slice slice{w,
                    first_row / kTileRows,
                    num_rows,
                    static_cast<std::uint32_t>(layout.num_chunks()),
                    static_cast<std::uint32_t>(layout.num_groups()),
                    static_cast<std::uint32_t>(layout.padded_group() / kPieceInputs),
                    static_cast<std::uint32_t>(divide_up(layout.num_chunks(), kWarps)),
                    layout.padded_group() == layout.group_size && layout.k % kPieceInputs == 0};
  cudaError_t status = cudaSuccess;
  with_float_type(y_dtype, [&](auto type) {
    auto* to = static_cast<decltype(type)*>(y);
    with_float_type(layout.scale_dtype, [&](auto scale) {
      status = launch_slice<decltype(type), decltype(scale)>(slice, to, stream);
    });
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
