#pragma once
// See simd_avx512.h.
#include <immintrin.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr int kLanes = 8;
using Vec = float __attribute__((vector_size(32)));
using VecInt = std::int32_t __attribute__((vector_size(32)));

inline constexpr bool kBf16Dot = false;
inline constexpr int kMaxTileRows = 6;    // 6 x 2 accumulators, 2 of w, one broadcast: 15 of 16 registers
inline constexpr int kTileVectors = 2;    // vectors of columns with several rows
inline constexpr int kOneRowVectors = 8;  // with one row

inline Vec splat(float value) {
  return reinterpret_cast<Vec>(_mm256_set1_ps(value));
}
inline Vec load(const float* p) {
  return reinterpret_cast<Vec>(_mm256_loadu_ps(p));
}
inline Vec load(const bf16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return reinterpret_cast<Vec>(_mm256_slli_epi32(wide, 16));
}
inline Vec load(const f16_t* p) {
  return reinterpret_cast<Vec>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline VecInt load_bits16(const void* p) {  // zero-extended
  return reinterpret_cast<VecInt>(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
}
inline void store(float* p, Vec v) {
  _mm256_storeu_ps(p, reinterpret_cast<__m256>(v));
}
inline void store(f16_t* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(reinterpret_cast<__m256>(v), 0));
}
inline void store_bits16(bf16_t* p, VecInt v) {  // the low halves
  const __m256i low = reinterpret_cast<__m256i>(v & 0xffff);
  const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(halves));
}
inline Vec multiply_add(Vec a, Vec b, Vec c) {  // a * b + c, one rounding
  return reinterpret_cast<Vec>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
}
inline Vec peak_step(Vec acc, Vec x) {
  return multiply_add(x, x, acc);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
