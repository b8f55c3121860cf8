#pragma once
// Tiles of 16 outputs and 8 tokens on the tensor cores, and how a block holds the inputs of its tokens.
// Weights are the A operand of mma.m16n8k16, so that few tokens waste the narrow side.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "ops/cuda/device_float.cuh"
#include "ops/cuda/linear_output.h"

namespace lmdeploy::ops::cuda {

inline constexpr int kTileTokens = 8;

// c += a b. Lane 4g + t of c: outputs g, g, g + 8, g + 8 of tokens 2t, 2t + 1, 2t, 2t + 1.
template <class T>
__device__ void mma(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Weights: read once, so not kept in the first-level cache. Volatile, so that loads are issued where they
// stand.
__device__ inline uint4 load_once(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}

__device__ inline void put(const LinearOutput& out, std::int64_t token, std::int64_t column, float sum) {
  float* y = out.y + token * out.stride + column;
  if (out.row_scales != nullptr) sum *= out.row_scales[token];
  if (out.bias != nullptr) sum += out.bias[column];
  *y = out.accumulate ? *y + sum : sum;
}

// Elements between the tokens' inputs in shared memory. 64 bytes beyond a multiple of 128: then the 16 bytes
// that each lane reads of b, eight lanes at a time, lie in different banks.
__host__ __device__ constexpr std::int64_t shared_stride(std::int64_t num_inputs) {
  return (num_inputs + 63) / 64 * 64 + 32;
}

template <class T>
__device__ float sum_of_piece(const uint4& piece) {
  float sum = 0;
  const T* values = reinterpret_cast<const T*>(&piece);
#pragma unroll
  for (int i = 0; i < 8; i++) sum += static_cast<float>(values[i]);
  return sum;
}

// Copies [m, 8 num_pieces] inputs to shared memory, zeros behind them up to 8 padded_pieces. kSumAtoms > 0:
// `sums` [padded_pieces / (4 kSumAtoms)][sums_stride] takes each token's sums over 32 kSumAtoms inputs, a
// divisor of the row. x is aligned to 16 bytes, in every row.
template <class T, int kSumAtoms>
__device__ void stage_inputs(const T* x, std::int64_t x_stride, int m, int num_pieces, int padded_pieces,
                             T* to, int to_stride, float* sums, int sums_stride) {
  const int total = m * padded_pieces, lane = threadIdx.x % 32;
#pragma unroll 4
  for (int i = threadIdx.x; i - lane < total; i += blockDim.x) {
    const int token = i / padded_pieces, piece = i % padded_pieces;
    uint4 v{};
    if (i < total && piece < num_pieces)
      v = *reinterpret_cast<const uint4*>(x + token * x_stride + piece * 8);
    if (i < total) *reinterpret_cast<uint4*>(to + token * to_stride + piece * 8) = v;
    if constexpr (kSumAtoms > 0) {
      constexpr int kLanes = 4 * kSumAtoms;
      float sum = sum_of_piece<T>(v);
#pragma unroll
      for (int step = kLanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(~0U, sum, step);
      if (i < total && lane % kLanes == 0) sums[piece / kLanes * sums_stride + token] = sum;
    }
  }
}

// Sums over a block's warps, in their order, what each has of a tile of outputs, and writes it. Tiles are
// finished one after another, the sum by another warp each time. Two of them are in flight: whoever writes to
// the half of the next but one has passed the barrier that comes after the last reading of it.
class TileSums {
 public:
  static constexpr int kFloat4s = 2 * 32;  // of shared memory for each warp

  __device__ explicit TileSums(float4* partial) : half_(partial), num_warps_(blockDim.x / 32) {}

  // Every thread of the block calls it.
  __device__ void finish(const float (&mine)[4], std::uint32_t tile, std::int64_t n, int m,
                         const LinearOutput& out) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    half_[warp * 32 + lane] = {mine[0], mine[1], mine[2], mine[3]};
    __syncthreads();
    if (warp == turn_) write(half_ + lane, tile, n, m, out);
    turn_ = turn_ + 1 == num_warps_ ? 0 : turn_ + 1;
    half_ += in_second_half_ ? -static_cast<int>(num_warps_ * 32) : static_cast<int>(num_warps_ * 32);
    in_second_half_ = !in_second_half_;
  }

 private:
  __device__ void write(const float4* parts, std::uint32_t tile, std::int64_t n, int m,
                        const LinearOutput& out) const {
    float4 sum{};
    for (unsigned i = 0; i < num_warps_; i++) {
      const float4 part = parts[i * 32];
      sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
    }
    const std::int64_t row = std::int64_t{tile} * 16 + threadIdx.x % 32 / 4;
    const int token = static_cast<int>(threadIdx.x % 4) * 2;
    if (row < n && token < m) put(out, token, row, sum.x);
    if (row < n && token + 1 < m) put(out, token + 1, row, sum.y);
    if (row + 8 < n && token < m) put(out, token, row + 8, sum.z);
    if (row + 8 < n && token + 1 < m) put(out, token + 1, row + 8, sum.w);
  }

  float4* half_;  // [num_warps][32], of two
  unsigned num_warps_, turn_ = 0;
  bool in_second_half_ = false;
};

}  // namespace lmdeploy::ops::cuda
