#pragma once
// See span_dots.h. q - zero has at most 8 bits and a sign, and E4M3 fewer of everything: bf16 holds both
// exactly.
#include "ops/cpu/span_dots.h"

namespace lmdeploy::ops::cpu {
namespace {

// Entry i: the bf16 of i as a signed number of 5 bits, 0 to 15 and -16 to -1.
alignas(64) constexpr std::uint16_t kSmallNumbers[32] = {
    0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0x4100, 0x4110, 0x4120,
    0x4130, 0x4140, 0x4150, 0x4160, 0x4170, 0xc180, 0xc170, 0xc160, 0xc150, 0xc140, 0xc130,
    0xc120, 0xc110, 0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040, 0xc000, 0xbf80};

// Entry i below 8: the bf16 of i 2^-9, what E4M3 has below 2^-6. The others are never looked up.
alignas(64) constexpr std::uint16_t kSubnormals[32] = {0x0000, 0x3b00, 0x3b80, 0x3bc0,
                                                       0x3c00, 0x3c20, 0x3c40, 0x3c60};

// E4M3 in the upper byte of every half as bf16: exponent and mantissa in their places, and the biases'
// difference added; from the table where the exponent is 0.
inline VecInt e4m3_to_bf16(__m512i halves) {
  const __m512i magnitude = _mm512_and_si512(_mm512_srli_epi16(halves, 4), _mm512_set1_epi16(0x07f0));
  const __m512i normal = _mm512_add_epi16(magnitude, _mm512_set1_epi16(120 << 7));
  const __mmask32 is_subnormal = _mm512_testn_epi16_mask(magnitude, _mm512_set1_epi16(0x0780));
  const __m512i both = _mm512_mask_permutexvar_epi16(normal, is_subnormal, _mm512_srli_epi16(magnitude, 4),
                                                     _mm512_load_si512(kSubnormals));
  const __m512i sign = _mm512_and_si512(halves, _mm512_set1_epi16(static_cast<short>(0x8000)));
  return reinterpret_cast<VecInt>(_mm512_or_si512(both, sign));
}

struct Bf16Dots {
  using X = bf16_t;
  using Operand = VecInt;
  using Sum = Vec;
  using Row = ScaledRow;
  static constexpr int kPair = 2, kAdds = 0;
  static constexpr int kTileRows = kMaxTileRows, kVectors = kTileVectors;

  // With 4 bits each byte of a word becomes a small number; the look-up heeds the low 5 bits of every half.
  template <class Code>
  static Operand operand(VecInt word, int input, VecInt zero) {
    if constexpr (std::is_same_v<Code, E4m3>) {
      const __m512i halves = reinterpret_cast<__m512i>(word);
      return e4m3_to_bf16(input == 0 ? _mm512_slli_epi16(halves, 8) : halves);
    } else if constexpr (Code::kBits == 4) {
      const VecInt nibbles = (input < 4 ? word : word >> 4) & 0x0f0f0f0f;
      const __m512i bytes =
          _mm512_sub_epi8(reinterpret_cast<__m512i>(nibbles), reinterpret_cast<__m512i>(zero * 0x01010101));
      const __m512i pair = input % 4 == 0 ? bytes : _mm512_srli_epi32(bytes, 8);
      return reinterpret_cast<VecInt>(_mm512_permutexvar_epi16(pair, _mm512_load_si512(kSmallNumbers)));
    } else {
      const VecInt both = (input == 0 ? word : word >> 8) & 0x00ff00ff;
      const Vec low = __builtin_convertvector((both & 0xffff) - zero, Vec);
      const Vec high = __builtin_convertvector((both >> 16) - zero, Vec);
      return reinterpret_cast<VecInt>(_mm512_srli_epi32(reinterpret_cast<__m512i>(low), 16)) |
             (reinterpret_cast<VecInt>(high) & static_cast<std::int32_t>(0xffff0000));
    }
  }
  static Operand broadcast(const bf16_t* x) { return splat_pair(x); }
  static Sum add(Sum sum, Operand x, Operand w) { return dot_pairs(sum, x, w); }
  static Sum widen(Sum sum) { return sum; }
  static Row row(const QuantizedMatmul& /*m*/, std::int64_t /*row*/, std::int64_t /*span*/) { return {}; }
};

}  // namespace
}  // namespace lmdeploy::ops::cpu
