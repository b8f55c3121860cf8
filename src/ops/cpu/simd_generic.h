#pragma once
// See simd_avx512.h. Plain x86-64: SSE2, no fused multiply-add, no half precision.
#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr int kLanes = 4;
using Vec = float __attribute__((vector_size(16)));
using VecInt = std::int32_t __attribute__((vector_size(16)));
using VecShort = std::uint16_t __attribute__((vector_size(8)));

inline constexpr bool kBf16Dot = false;
inline constexpr int kMaxTileRows = 4;
inline constexpr int kTileVectors = 2;    // vectors of columns with several rows
inline constexpr int kOneRowVectors = 8;  // with one row

inline Vec splat(float value) {
  return Vec{value, value, value, value};
}
inline Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline VecInt load_bits16(const void* p) {
  VecShort v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, VecInt);
}
inline Vec load(const bf16_t* p) {
  return reinterpret_cast<Vec>(load_bits16(p) << 16);
}
// The exponent is moved by a multiplication, which makes subnormals right; infinity and NaN get theirs back.
inline Vec load(const f16_t* p) {
  const VecInt bits = load_bits16(p);
  const VecInt magnitude = (bits & 0x7fff) << 13;
  const Vec scaled = reinterpret_cast<Vec>(magnitude) * 0x1p112F;
  const VecInt special = (magnitude >= (0x7c00 << 13)) & 0x7f800000;
  return reinterpret_cast<Vec>(reinterpret_cast<VecInt>(scaled) | special | ((bits & 0x8000) << 16));
}
inline void store(float* p, Vec v) {
  __builtin_memcpy(p, &v, sizeof v);
}
inline void store_bits16(void* p, VecInt v) {  // the low halves
  const VecShort halves = __builtin_convertvector(v, VecShort);
  __builtin_memcpy(p, &halves, sizeof halves);
}
// Normal results round by adding just under half of the last place that stays; subnormal ones by adding 0.5,
// whose last place is theirs.
inline void store(f16_t* p, Vec v) {
  const VecInt bits = reinterpret_cast<VecInt>(v);
  const VecInt magnitude = bits & 0x7fffffff;
  const VecInt normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  const VecInt subnormal = reinterpret_cast<VecInt>(reinterpret_cast<Vec>(magnitude) + 0.5F) - 0x3f000000;
  VecInt half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477ff000 ? VecInt{} + 0x7c00 : half;
  half = magnitude > 0x7f800000 ? VecInt{} + 0x7e00 : half;
  store_bits16(p, half | ((bits >> 16) & 0x8000));
}
inline Vec multiply_add(Vec a, Vec b, Vec c) {  // two roundings: files are compiled with -ffp-contract=off
  return a * b + c;
}
inline Vec peak_step(Vec acc, Vec x) {
  return multiply_add(x, x, acc);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
