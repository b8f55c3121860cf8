#pragma once
// Vectors of floats for one instruction set. Each simd_*.h gives the same names, and exactly one of them is
// included by a file: everything is in an unnamed namespace, so that nothing compiled here is shared.
#include <immintrin.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr int kLanes = 16;
using Vec = float __attribute__((vector_size(64)));
using VecInt = std::int32_t __attribute__((vector_size(64)));

inline constexpr bool kBf16Dot = true;
inline constexpr int kMaxTileRows = 6;    // 6 x 4 accumulators, 4 of w, one broadcast: 29 of 32 registers
inline constexpr int kTileVectors = 4;    // vectors of columns with several rows
inline constexpr int kOneRowVectors = 4;  // with one row

inline Vec splat(float value) {
  return reinterpret_cast<Vec>(_mm512_set1_ps(value));
}
inline Vec load(const float* p) {
  return reinterpret_cast<Vec>(_mm512_loadu_ps(p));
}
inline Vec load(const bf16_t* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return reinterpret_cast<Vec>(_mm512_slli_epi32(wide, 16));
}
inline Vec load(const f16_t* p) {
  return reinterpret_cast<Vec>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
inline VecInt load_bits16(const void* p) {  // zero-extended
  return reinterpret_cast<VecInt>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p))));
}
inline void store(float* p, Vec v) {
  _mm512_storeu_ps(p, reinterpret_cast<__m512>(v));
}
inline void store(f16_t* p, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(reinterpret_cast<__m512>(v), 0));
}
inline void store_bits16(bf16_t* p, VecInt v) {  // the low halves
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(v)));
}
inline Vec multiply_add(Vec a, Vec b, Vec c) {  // a * b + c, one rounding
  return reinterpret_cast<Vec>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
}
// To nearest even like store, but subnormals become zero: nothing that a softmax weight would show.
inline void store_weights(bf16_t* p, Vec v) {
  const __m256bh halves = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(halves));
}
// The same pair of bf16 in every lane.
inline VecInt splat_pair(const bf16_t* pair) {
  std::int32_t bits;
  __builtin_memcpy(&bits, pair, sizeof bits);
  return reinterpret_cast<VecInt>(_mm512_set1_epi32(bits));
}
// acc + the two products of each lane's pairs, with the instruction's own rounding: to nearest even,
// subnormals as zero.
inline Vec dot_pairs(Vec acc, VecInt x, VecInt w) {
  return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(acc), reinterpret_cast<__m512bh>(x),
                                                reinterpret_cast<__m512bh>(w)));
}
// 32 signed bytes as 16 pairs of bf16.
inline VecInt pairs_of_bytes(const std::uint8_t* from, bf16_t) {
  const __m128i* bytes = reinterpret_cast<const __m128i*>(from);
  const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes)));
  const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes + 1)));
  return reinterpret_cast<VecInt>(_mm512_cvtne2ps_pbh(high, low));
}
inline void unpack_bytes(const std::uint8_t* from, bf16_t* to) {
  _mm512_storeu_si512(to, reinterpret_cast<__m512i>(pairs_of_bytes(from, bf16_t{})));
}
// The low and the high nibbles of 32 bytes, minus 8, as bf16. vpermw takes five bits of an index: the table
// holds its 16 values twice, and what lies above a low nibble does not matter.
inline void unpack_nibbles(const std::uint8_t* from, bf16_t* low, bf16_t* high) {
  alignas(64) static constexpr std::uint16_t kValues[32] = {
      0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040, 0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000,
      0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0, 0xc100, 0xc0e0, 0xc0c0, 0xc0a0, 0xc080, 0xc040,
      0xc000, 0xbf80, 0x0000, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0, 0x40e0};
  const __m512i values = _mm512_load_si512(kValues);
  const __m512i words = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  _mm512_storeu_si512(low, _mm512_permutexvar_epi16(words, values));
  _mm512_storeu_si512(high, _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 4), values));
}
// The step whose rate is the machine's peak.
inline Vec peak_step(Vec acc, Vec x) {
  return dot_pairs(acc, reinterpret_cast<VecInt>(x), reinterpret_cast<VecInt>(x));
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
