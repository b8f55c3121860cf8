#pragma once
// Tiles of 16 outputs and 8 tokens on the tensor cores, and how a block holds the inputs of its tokens.
// Weights are the A operand of mma.m16n8k16, so that few tokens waste the narrow side.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "ops/cuda/device_float.cuh"
#include "ops/cuda/linear_output.h"
#include "ops/cuda/warp_mma.cuh"

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

// The same into shared memory; zeros where there is nothing. Whoever asked sees it behind wait_copies().
__device__ inline void copy_once(unsigned to, const void* from, bool valid = true) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}

// What a sum of a column becomes.
__device__ inline float output_of(const LinearOutput& out, std::int64_t token, std::int64_t column,
                                  float sum) {
  if (out.row_scales != nullptr) sum *= out.row_scales[token];
  return out.bias != nullptr ? sum + out.bias[column] : sum;
}

__device__ inline void put(const LinearOutput& out, std::int64_t token, std::int64_t column, float sum) {
  float* y = out.y + token * out.stride + column;
  sum = output_of(out, token, column, sum);
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

// The pieces of tokens' inputs that a thread stages: of all tokens one after another every blockDim.x-th.
struct StagedPieces {
  int padded_pieces;  // of a token
  int token, piece;
  int step_tokens, step_pieces;

  __device__ explicit StagedPieces(int padded_pieces_in)
      : padded_pieces(padded_pieces_in),
        token(static_cast<int>(threadIdx.x) / padded_pieces_in),
        piece(static_cast<int>(threadIdx.x) % padded_pieces_in),
        step_tokens(static_cast<int>(blockDim.x) / padded_pieces_in),
        step_pieces(static_cast<int>(blockDim.x) % padded_pieces_in) {}

  __device__ void advance() {
    piece += step_pieces, token += step_tokens;
    if (piece >= padded_pieces) piece -= padded_pieces, token++;
  }
};

// Copies [m, 8 num_pieces] inputs to shared memory, zeros behind them up to 8 padded_pieces. kSumAtoms > 0:
// `sums` [padded_pieces / (4 kSumAtoms)][sums_stride] takes each token's sums over 32 kSumAtoms inputs, a
// divisor of the row. x is aligned to 16 bytes, in every row.
template <class T, int kSumAtoms>
__device__ void stage_inputs(StagedPieces at, const T* x, std::int64_t x_stride, int m, int num_pieces, T* to,
                             int to_stride, float* sums, int sums_stride) {
  constexpr int kAtOnce = 4;  // loads under way
  const int total = m * at.padded_pieces, lane = threadIdx.x % 32, step = static_cast<int>(blockDim.x);
  for (int first = threadIdx.x; first - lane < total; first += kAtOnce * step) {
    uint4 v[kAtOnce];
    StagedPieces from = at;
#pragma unroll
    for (int j = 0; j < kAtOnce; j++, from.advance()) {
      v[j] = uint4{};
      if (first + j * step < total && from.piece < num_pieces)
        v[j] = *reinterpret_cast<const uint4*>(x + from.token * x_stride + from.piece * 8);
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; j++, at.advance()) {
      const int i = first + j * step;
      if (i - lane >= total) break;  // the whole warp
      if (i < total) *reinterpret_cast<uint4*>(to + at.token * to_stride + at.piece * 8) = v[j];
      if constexpr (kSumAtoms > 0) {
        constexpr int kLanes = 4 * kSumAtoms;
        float sum = sum_of_piece<T>(v[j]);
#pragma unroll
        for (int distance = kLanes / 2; distance > 0; distance /= 2)
          sum += __shfl_xor_sync(~0U, sum, distance);
        if (i < total && lane % kLanes == 0) sums[at.piece / kLanes * sums_stride + at.token] = sum;
      }
    }
  }
}

}  // namespace lmdeploy::ops::cuda
