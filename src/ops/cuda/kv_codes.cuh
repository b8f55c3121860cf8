#pragma once
// Codes of a quantised cache as pairs of floats around 0, exact in fp16 and in bf16: code - 128, or code - 8.
#include "ops/cuda/device_float.cuh"

namespace lmdeploy::ops::cuda {

// Two bytes of a word. fp16: a byte below the exponent of 1024 adds to it. bf16 has too few bits for that,
// but a small integer's float ends in 16 zeros, so its upper half is the bf16.
template <class T, int kLow, int kHigh>
__device__ unsigned bytes_to_floats(unsigned word) {
  if constexpr (std::is_same_v<T, __half>) {
    const unsigned bits = __byte_perm(word, 0x64646464, 0x4040 | kLow | kHigh << 8);
    const __half2 pair = __hsub2(reinterpret_cast<const __half2&>(bits), __float2half2_rn(1024 + 128));
    return reinterpret_cast<const unsigned&>(pair);
  } else {
    constexpr unsigned kTwoTo23 = 0x4b000000;
    const float low = __uint_as_float(__byte_perm(word, kTwoTo23, 0x7440 | kLow)) - (8388608.0F + 128.0F),
                high = __uint_as_float(__byte_perm(word, kTwoTo23, 0x7440 | kHigh)) - (8388608.0F + 128.0F);
    return __byte_perm(__float_as_uint(low), __float_as_uint(high), 0x7632);
  }
}

// Nibbles j and j + 4 of a word.
template <class T>
__device__ unsigned nibbles_to_floats(unsigned word, int j) {
  const unsigned codes = word >> (4 * j) & 0x000f000f;
  if constexpr (std::is_same_v<T, __half>) {
    const unsigned bits = codes | 0x64006400;
    const __half2 pair = __hsub2(reinterpret_cast<const __half2&>(bits), __float2half2_rn(1024 + 8));
    return reinterpret_cast<const unsigned&>(pair);
  } else {
    const unsigned bits = codes | 0x43004300;
    const __nv_bfloat162 pair =
        __hsub2(reinterpret_cast<const __nv_bfloat162&>(bits), __float2bfloat162_rn(128 + 8));
    return reinterpret_cast<const unsigned&>(pair);
  }
}

}  // namespace lmdeploy::ops::cuda
