#pragma once
// head_dim floats of one token in the registers of a warp: lane l holds elements l, l + 32, ... Elements
// behind head_dim are 0.
#include "ops/cuda/device_float.cuh"
#include "ops/key_signs.h"

namespace lmdeploy::ops::cuda {

inline constexpr int kWarpLen = 32;
inline constexpr unsigned kWholeWarp = 0xffffffff;

// Signs of elements 32 i, 32 i + 1, ...: bits of word i, 1 where negative. A warp's lanes then find theirs in
// a constant of the code; as floats they would come from memory, where a decode step waits for them.
struct KeySignBits {
  unsigned words[kMaxHeadDim / kWarpLen];
};
consteval KeySignBits make_key_sign_bits() {
  KeySignBits bits{};
  for (int c = 0; c < kMaxHeadDim; c++)
    if (kKeySigns.at[c] < 0) bits.words[c / kWarpLen] |= 1U << c % kWarpLen;
  return bits;
}
static __device__ const KeySignBits kKeySignBits = make_key_sign_bits();

__device__ inline int lane_idx() {
  return static_cast<int>(threadIdx.x) % kWarpLen;
}

__device__ inline float warp_max(float x) {
  for (int distance = kWarpLen / 2; distance > 0; distance /= 2)
    x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, distance));
  return x;
}
__device__ inline float warp_sum(float x) {
  for (int distance = kWarpLen / 2; distance > 0; distance /= 2)
    x += __shfl_xor_sync(kWholeWarp, x, distance);
  return x;
}

template <int kPerLane>
__device__ void load_head(float (&x)[kPerLane], const float* from, int head_dim) {
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    x[i] = c < head_dim ? from[c] : 0.0F;
  }
}

// x = H D x / sqrt(n) in blocks of n, the largest power of two that divides head_dim: signs D, then the
// Walsh-Hadamard matrix H (docs/kv_cache.md).
template <int kPerLane>
__device__ void rotate_head(float (&x)[kPerLane], int head_dim) {
  const int n = head_dim & -head_dim;
  const float norm = 1.0F / sqrtf(static_cast<float>(n));
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    const int c = lane_idx() + kWarpLen * i;
    const unsigned sign = kKeySignBits.words[i] >> lane_idx() << (kWarpLen - 1);
    x[i] *= c < head_dim ? __uint_as_float(__float_as_uint(norm) | sign) : 0.0F;
  }
#pragma unroll
  for (int distance = 1; distance < kWarpLen; distance *= 2) {
    if (distance >= n) break;
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      const float other = __shfl_xor_sync(kWholeWarp, x[i], distance);
      x[i] = (lane_idx() & distance) == 0 ? other + x[i] : other - x[i];
    }
  }
#pragma unroll
  for (int step = 1; step < kPerLane; step *= 2) {
    if (kWarpLen * step >= n) break;
#pragma unroll
    for (int i = 0; i + step < kPerLane; i++) {
      if ((i & step) != 0) continue;
      const float a = x[i], b = x[i + step];
      x[i] = a + b;
      x[i + step] = a - b;
    }
  }
}

struct CodeParameters {
  __half scale;
  __half minimum;
};

// Codes of a row, and what they refer to, as the CPU's quantize_row has them: what lies beyond fp16
// saturates, and a number that is none, or infinite, makes the scale NaN.
template <int kPerLane>
__device__ CodeParameters quantize_head(const float (&x)[kPerLane], int head_dim, int bits,
                                        int (&codes)[kPerLane]) {
  constexpr float kLargest = 65504.0F;
  const float last_code = bits == 8 ? 255.0F : 15.0F;
  float top = -INFINITY, bottom = -INFINITY;
  bool finite = true;
#pragma unroll
  for (int i = 0; i < kPerLane; i++) {
    if (lane_idx() + kWarpLen * i >= head_dim) continue;
    top = fmaxf(top, x[i]);
    bottom = fmaxf(bottom, -x[i]);
    finite = finite && fabsf(x[i]) < INFINITY;
  }
  finite = __all_sync(kWholeWarp, finite) != 0;
  const float max = fminf(fmaxf(warp_max(top), -kLargest), kLargest);
  CodeParameters result;
  result.minimum = __float2half_rn(fminf(fmaxf(-warp_max(bottom), -kLargest), kLargest));
  const float min = __half2float(result.minimum);
  result.scale = __float2half_rn(finite ? (max - min) / last_code : NAN);
  const float scale = __half2float(result.scale), inverse = scale > 0 ? 1.0F / scale : 0.0F;
#pragma unroll
  for (int i = 0; i < kPerLane; i++)
    codes[i] = __float2int_rn(fminf(fmaxf((x[i] - min) * inverse, 0.0F), last_code));  // 0 where it is NaN
  return result;
}

}  // namespace lmdeploy::ops::cuda
