#pragma once
// How the numbers of a quantised matrix lie in device memory: words, then scales, then zeros of integers.
//   words:  [num_tiles][padded_k / chunk_inputs][32 lanes] of 16 bytes
//   scales: [num_tiles][num_groups][16], zeros: the same, u8
// A tile is 16 outputs, the rows of A of mma.m16n8k16; a chunk is what a warp loads at once: 64 inputs of 4
// bits or 32 of 8. Lane 4g + t holds outputs g and g + 8, and of each 32 inputs of the chunk the eight from
// 8t on, as the lane does of x: which of them an instruction takes as its k is free, as long as both sides
// agree.
//   4 bits: {output g, output g + 8} of the first 32 inputs, the same of the last 32, a word each
//   8 bits: {low halves of output g, high halves, low halves of output g + 8, high halves}
//   E4M3:   {first four inputs of output g, last four, first four of output g + 8, last four}
// A word holds eight inputs of one output, 4 bits each: input 2i in bits 4i .. and input 2i + 1 in bits 16 +
// 4i .., all of it rotated left by kRotation: rotated back by 4i, two of them lie where they are the upper
// bits of the mantissas of a pair of floats. A word of E4M3 holds input i of its four in byte e4m3_byte(i):
// the first pair in the upper bytes of its halves, the second in the lower ones. In the order of scales and
// zeros outputs g and g + 8 are neighbours. A group is filled up to a multiple of 32 inputs, which what comes
// as groups of 32, 64, 128 already is; x is zero there.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "quant/weight_code.h"
#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

inline constexpr std::int64_t kTileRows = 16;    // outputs
inline constexpr std::int64_t kAtomInputs = 32;  // of which a lane holds eight
inline constexpr std::int64_t kPieceInputs = 8;  // a word of 4 bits, 16 bytes of x
inline constexpr std::int64_t kChunkBytes = 512;
// Of a word of four E4M3: input i's. {1, 3, 0, 2}
constexpr __host__ __device__ int e4m3_byte(int i) {
  return i < 2 ? 2 * i + 1 : 2 * (i - 2);
}

struct QuantizedLayout {
  std::int64_t n = 0;  // outputs
  std::int64_t k = 0;  // inputs
  std::int64_t group_size = 0;
  std::int32_t bits = 4;      // 4 or 8
  DType dtype = DType::bf16;  // of x, whose mantissa decides the rotation
  DType scale_dtype = DType::f32;
  WeightCode code = WeightCode::integer;

  static constexpr __host__ __device__ std::int64_t round_up(std::int64_t a, std::int64_t unit) {
    return (a + unit - 1) / unit * unit;
  }
  // Mantissas have 7 bits in bf16 and 10 in f16.
  __host__ __device__ std::int32_t rotation() const { return dtype == DType::f16 ? 6 : 3; }
  __host__ __device__ std::int64_t num_groups() const { return k / group_size; }
  __host__ __device__ std::int64_t padded_group() const { return round_up(group_size, kAtomInputs); }
  __host__ __device__ std::int64_t chunk_inputs() const { return 256 / bits; }
  __host__ __device__ std::int64_t padded_k() const {
    return round_up(num_groups() * padded_group(), chunk_inputs());
  }
  __host__ __device__ std::int64_t num_tiles() const { return round_up(n, kTileRows) / kTileRows; }
  __host__ __device__ std::int64_t num_chunks() const { return padded_k() / chunk_inputs(); }  // of a tile

  __host__ __device__ std::int64_t scales_offset() const { return num_tiles() * num_chunks() * kChunkBytes; }
  __host__ __device__ std::int64_t zeros_offset() const {
    return scales_offset() + num_scales() * static_cast<std::int64_t>(scale_dtype == DType::f32 ? 4 : 2);
  }
  __host__ __device__ bool has_zeros() const { return code == WeightCode::integer; }
  __host__ __device__ std::int64_t bytes() const { return zeros_offset() + (has_zeros() ? num_scales() : 0); }
  __host__ __device__ std::int64_t num_scales() const { return num_tiles() * kTileRows * num_groups(); }

  // The word of eight inputs of a row; with 8 bits the first of two, of their low halves or of the first
  // four. Inputs are counted with the groups filled up.
  __host__ __device__ std::int64_t word_index(std::int64_t row, std::int64_t piece) const {
    const std::int64_t atom = piece / 4, atoms_per_chunk = bits == 4 ? 2 : 1;
    const std::int64_t chunk = row / kTileRows * num_chunks() + atom / atoms_per_chunk;
    const std::int64_t lane = row % 8 * 4 + piece % 4, upper = row % kTileRows / 8;
    return (chunk * 32 + lane) * 4 + (bits == 4 ? atom % 2 * 2 + upper : upper * 2);
  }
  __host__ __device__ std::int64_t scale_index(std::int64_t row, std::int64_t group) const {
    return (row / kTileRows * num_groups() + group) * kTileRows + row % 8 * 2 + row % kTileRows / 8;
  }
};

// A packed matrix as the kernels take it.
struct QuantizedMatrixPointers {
  QuantizedLayout layout;
  void* data = nullptr;  // [layout.bytes()], aligned to 256 bytes

  __host__ __device__ const void* words() const { return data; }
  __host__ __device__ const void* scales() const {
    return static_cast<const char*>(data) + layout.scales_offset();
  }
  __host__ __device__ const void* zeros() const {
    return static_cast<const char*>(data) + layout.zeros_offset();
  }
};

}  // namespace lmdeploy::ops::cuda
