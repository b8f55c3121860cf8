#pragma once
// See simd_quantized_avx512.h.
#include <immintrin.h>

#include "ops/cpu/simd_avx2.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr int kIntTileRows = 4;
inline constexpr int kIntTileVectors = 2;
// Pairs of products of 4-bit weights are summed in 16 bits: 8 * 2 * 15 * 127 < 2^15. Pairs of 8-bit ones do
// not fit.
template <int kBits>
inline constexpr int kAddsAtOnce = kBits == 4 ? 8 : 0;

template <int kBits>
inline VecInt add_quads(VecInt sum, VecInt w, VecInt x) {
  const __m256i w_bytes = reinterpret_cast<__m256i>(w), x_bytes = reinterpret_cast<__m256i>(x);
  const __m256i sums = reinterpret_cast<__m256i>(sum);
  if constexpr (kBits == 4)
    return reinterpret_cast<VecInt>(_mm256_add_epi16(sums, _mm256_maddubs_epi16(w_bytes, x_bytes)));
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(w_bytes, _mm256_set1_epi16(0xff)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(x_bytes, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(w_bytes, 8), _mm256_srai_epi16(x_bytes, 8));
  return reinterpret_cast<VecInt>(_mm256_add_epi32(_mm256_add_epi32(sums, even), odd));
}
// Sums of pairs to sums of quads.
inline VecInt widen(VecInt sum) {
  return reinterpret_cast<VecInt>(_mm256_madd_epi16(reinterpret_cast<__m256i>(sum), _mm256_set1_epi16(1)));
}
inline VecInt int8_peak_step(VecInt sum, VecInt x) {
  return sum + widen(add_quads<4>(VecInt{}, x, x));
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
