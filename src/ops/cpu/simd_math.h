#pragma once
// What the kernels need beyond simd_*.h, in its terms. Include after one of those.
#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr float kInfinity = __builtin_inff();

// Round to nearest, ties to even; NaN stays NaN.
inline void store(bf16_t* p, Vec v) {
  const VecInt bits = reinterpret_cast<VecInt>(v);
  const VecInt rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  store_bits16(p, (bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded);
}

// The first `count` (< kLanes) lanes; the others are 0.
template <class T>
Vec load_part(const T* p, std::int64_t count) {
  T lanes[kLanes] = {};
  __builtin_memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof(T));
  return load(lanes);
}
template <class T>
void store_part(T* p, Vec v, std::int64_t count) {
  T lanes[kLanes];
  store(lanes, v);
  __builtin_memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof(T));
}

// Of a vector of which `count` lanes, perhaps none, are there.
inline Vec load_at_most(const float* p, std::int64_t count) {
  return count >= kLanes ? load(p) : count > 0 ? load_part(p, count) : Vec{};
}
inline void store_at_most(float* p, Vec v, std::int64_t count) {
  if (count >= kLanes)
    store(p, v);
  else if (count > 0)
    store_part(p, v, count);
}

// The larger one; b where one is NaN.
inline Vec larger(Vec a, Vec b) {
  return a > b ? a : b;
}

// The smaller one; b where one is NaN.
inline Vec smaller(Vec a, Vec b) {
  return a < b ? a : b;
}

template <int kDistance>
Vec lanes_swapped(Vec v) {
  VecInt from;
  for (int i = 0; i < kLanes; i++) from[i] = i ^ kDistance;
  return __builtin_shuffle(v, from);
}
// Lanes are added in pairs, so that the order does not depend on the compiler.
inline float reduce_sum(Vec v) {
  if constexpr (kLanes > 8) v += lanes_swapped<8>(v);
  if constexpr (kLanes > 4) v += lanes_swapped<4>(v);
  v += lanes_swapped<2>(v);
  v += lanes_swapped<1>(v);
  return v[0];
}
inline float reduce_max(Vec v) {
  if constexpr (kLanes > 8) v = larger(v, lanes_swapped<8>(v));
  if constexpr (kLanes > 4) v = larger(v, lanes_swapped<4>(v));
  v = larger(v, lanes_swapped<2>(v));
  v = larger(v, lanes_swapped<1>(v));
  return v[0];
}

// e^x within 2 ulp; exactly 1 at 0, 0 where the result would be subnormal, infinity above 88.3, NaN for NaN.
// x = n ln 2 + r with ln 2 in two parts, e^r by the minimax polynomial of Cephes' expf, 2^n through the
// exponent's bits.
inline Vec exp(Vec x) {
  const Vec low = splat(-88.03F), high = splat(89.0F);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vec round = splat(12582912.0F);  // 1.5 * 2^23: the sum's last bits are the nearest integer
  const Vec shifted = multiply_add(x, splat(1.44269504F), round);
  const Vec n = shifted - round;
  Vec r = multiply_add(n, splat(-0.693359375F), x);
  r = multiply_add(n, splat(2.12194440e-4F), r);
  Vec p = multiply_add(splat(1.9875691500e-4F), r, splat(1.3981999507e-3F));
  p = multiply_add(p, r, splat(8.3334519073e-3F));
  p = multiply_add(p, r, splat(4.1665795894e-2F));
  p = multiply_add(p, r, splat(1.6666665459e-1F));
  p = multiply_add(p, r, splat(5.0000001201e-1F));
  p = multiply_add(p, r * r, r) + 1.0F;
  const VecInt exponent = reinterpret_cast<VecInt>(shifted) - reinterpret_cast<VecInt>(round) + 127;
  return p * reinterpret_cast<Vec>(exponent << 23);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
