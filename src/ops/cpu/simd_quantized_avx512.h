#pragma once
// What the quantised kernels need beyond simd_*.h. Each simd_quantized_*.h gives the same names.
#include <immintrin.h>

#include "ops/cpu/simd_avx512.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr int kIntTileRows = 6;  // 6 x 4 accumulators, 4 of w, one broadcast: 29 of 32 registers
inline constexpr int kIntTileVectors = 4;
// How many calls of add_quads may follow each other before `widen` makes whole sums of theirs; 0: theirs are
// whole.
template <int kBits>
inline constexpr int kAddsAtOnce = 0;

// sum + the four products of each lane's bytes: kBits bits of w, unsigned, and x, signed.
template <int kBits>
inline VecInt add_quads(VecInt sum, VecInt w, VecInt x) {
  return reinterpret_cast<VecInt>(_mm512_dpbusd_epi32(
      reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(w), reinterpret_cast<__m512i>(x)));
}
inline VecInt widen(VecInt sum) {
  return sum;
}
// The step whose rate is the machine's peak.
inline VecInt int8_peak_step(VecInt sum, VecInt x) {
  return add_quads<8>(sum, x, x);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
