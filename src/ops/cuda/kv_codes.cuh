#pragma once
// Codes of a quantised cache as pairs of floats, exact in fp16 and in bf16: around 0, code - 128 or code - 8,
// or raised by what saves an instruction.
#include "ops/cuda/device_float.cuh"

namespace lmdeploy::ops::cuda {

// (x & kMask) | kBits and (x & kMask) ^ kBits as the one instruction that they are: the compiler makes two
// where both numbers are constants.
template <unsigned kMask, unsigned kBits>
__device__ unsigned mask_and_or(unsigned x) {
  unsigned result;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(result) : "r"(x), "n"(kMask), "r"(kBits));
  return result;
}
template <unsigned kMask, unsigned kBits>
__device__ unsigned mask_and_flip(unsigned x) {
  unsigned result;
  asm("lop3.b32 %0, %1, %2, %3, 0x6a;" : "=r"(result) : "r"(x), "n"(kMask), "r"(kBits));
  return result;
}

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

// Bytes kByte and kByte + 2 of a word as bf16: the lower seven bits below the exponent of 128, and then 256
// or, where bit 7 is set, 128 less.
template <int kByte>
__device__ unsigned byte_and_next_but_one_to_bf16(unsigned word) {
  const unsigned bytes = word >> (8 * kByte), low = mask_and_or<0x007f007f, 0x43004300>(bytes),
                 less = mask_and_flip<0x00800080, 0xc380c380>(bytes);
  const __nv_bfloat162 pair =
      __hadd2(reinterpret_cast<const __nv_bfloat162&>(low), reinterpret_cast<const __nv_bfloat162&>(less));
  return reinterpret_cast<const unsigned&>(pair);
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

// The same as code + kNibbleRaise: the upper bits of the mantissa of 16.
inline constexpr float kNibbleRaise = 16;
template <class T>
__device__ unsigned nibbles_to_raised_floats(unsigned word, int j) {
  constexpr bool kIsHalf = std::is_same_v<T, __half>;
  constexpr int kBit = kIsHalf ? 6 : 3;  // where a code is worth its value
  const unsigned moved = 4 * j < kBit ? word << (kBit - 4 * j) : word >> (4 * j - kBit);
  return kIsHalf ? mask_and_or<0x03c003c0, 0x4c004c00>(moved) : mask_and_or<0x00780078, 0x41804180>(moved);
}

}  // namespace lmdeploy::ops::cuda
