#pragma once
// See span_dots.h. q - zero has at most 8 bits and a sign: bf16 holds it exactly.
#include "ops/cpu/span_dots.h"

namespace lmdeploy::ops::cpu {
namespace {

// Entry i: the bf16 of i as a signed number of 5 bits.
inline VecInt small_numbers() {
  std::uint16_t table[32];
  for (int i = 0; i < 32; i++) {
    const auto number = static_cast<float>(i < 16 ? i : i - 32);
    std::uint32_t bits;
    __builtin_memcpy(&bits, &number, sizeof bits);
    table[i] = static_cast<std::uint16_t>(bits >> 16);
  }
  VecInt result;
  __builtin_memcpy(&result, table, sizeof result);
  return result;
}

struct Bf16Dots {
  using X = bf16_t;
  using Operand = VecInt;
  using Sum = Vec;
  using Row = ScaledRow;
  static constexpr int kPair = 2, kAdds = 0;
  static constexpr int kTileRows = kMaxTileRows, kVectors = kTileVectors;

  // With 4 bits each byte of a word becomes a small number; the look-up heeds the low 5 bits of every half.
  template <int kBits>
  static Operand operand(VecInt word, int input, VecInt zero) {
    if constexpr (kBits == 4) {
      const VecInt nibbles = (input < 4 ? word : word >> 4) & 0x0f0f0f0f;
      const __m512i bytes =
          _mm512_sub_epi8(reinterpret_cast<__m512i>(nibbles), reinterpret_cast<__m512i>(zero * 0x01010101));
      const __m512i pair = input % 4 == 0 ? bytes : _mm512_srli_epi32(bytes, 8);
      return reinterpret_cast<VecInt>(
          _mm512_permutexvar_epi16(pair, reinterpret_cast<__m512i>(small_numbers())));
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
