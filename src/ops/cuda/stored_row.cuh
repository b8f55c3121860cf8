#pragma once
// A head of one token as a cache keeps it: written by a warp that has it in registers (head_row.cuh), to
// global or to shared memory.
#include "ops/cuda/head_row.cuh"
#include "ops/cuda/kv_block.cuh"

namespace lmdeploy::ops::cuda {

template <class T, int kPerLane>
__device__ void store_floats(T* row, const float (&x)[kPerLane], int head_dim) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    if (c < head_dim) row[c] = from_float<T>(x[i]);
  }
}

template <int kPerLane>
__device__ void store_bytes(unsigned char* row, const int (&codes)[kPerLane], int head_dim) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    if (c < head_dim) row[c] = static_cast<unsigned char>(codes[i]);
  }
}

// Eight lanes put their nibbles together; the lane whose nibble is the low one of a byte writes the byte.
template <int kPerLane>
__device__ void store_nibbles(unsigned char* row, const int (&codes)[kPerLane], int head_dim) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i, at = nibble_of(c, head_dim);
    unsigned word = static_cast<unsigned>(c < head_dim ? codes[i] : 0) << (at % 8 * 4);
    for (int distance = 1; distance < 8; distance *= 2) word |= __shfl_xor_sync(kWholeWarp, word, distance);
    if (c < head_dim && at % 2 == 0) row[at / 2] = static_cast<unsigned char>(word >> (at % 8 * 4));
  }
}

struct CodeRow {
  char* codes;
  __half* scale;
  __half* minimum;
};

template <int kPerLane>
__device__ void store_codes(const CodeRow& to, const float (&x)[kPerLane], int head_dim, int bits) {
  int codes[kPerLane];
  const CodeParameters parameters = quantize_head(x, head_dim, bits, codes);
  if (lane_idx() == 0) {
    *to.scale = parameters.scale;
    *to.minimum = parameters.minimum;
  }
  unsigned char* row = reinterpret_cast<unsigned char*>(to.codes);
  if (bits == 8)
    store_bytes(row, codes, head_dim);
  else
    store_nibbles(row, codes, head_dim);
}

}  // namespace lmdeploy::ops::cuda
