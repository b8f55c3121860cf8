#pragma once
// See simd_quantized_avx512.h. SSE2 multiplies 16-bit numbers only: even and odd bytes go apart.
#include <emmintrin.h>

#include "ops/cpu/simd_generic.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr int kIntTileRows = 2;
inline constexpr int kIntTileVectors = 2;
template <int kBits>
inline constexpr int kAddsAtOnce = 0;

template <int kBits>
inline VecInt add_quads(VecInt sum, VecInt w, VecInt x) {
  const __m128i w_bytes = reinterpret_cast<__m128i>(w), x_bytes = reinterpret_cast<__m128i>(x);
  const __m128i even = _mm_madd_epi16(_mm_and_si128(w_bytes, _mm_set1_epi16(0xff)),
                                      _mm_srai_epi16(_mm_slli_epi16(x_bytes, 8), 8));
  const __m128i odd = _mm_madd_epi16(_mm_srli_epi16(w_bytes, 8), _mm_srai_epi16(x_bytes, 8));
  return sum + reinterpret_cast<VecInt>(_mm_add_epi32(even, odd));
}
inline VecInt widen(VecInt sum) {
  return sum;
}
inline VecInt int8_peak_step(VecInt sum, VecInt x) {
  return add_quads<8>(sum, x, x);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
