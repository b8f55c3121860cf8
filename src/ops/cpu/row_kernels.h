#pragma once
// Kernels that walk along one row: conversion, normalisation, activation, rotation, reductions.
#include <type_traits>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd_math.h"

namespace lmdeploy::ops::cpu {
namespace {

// Calls body(begin, Whole) for whole vectors and body(begin, Part{count}) for what is left.
struct Whole {
  template <class T>
  static Vec read(const T* p) {
    return load(p);
  }
  template <class T>
  static void write(T* p, Vec v) {
    store(p, v);
  }
};
struct Part {
  std::int64_t count;
  template <class T>
  Vec read(const T* p) const {
    return load_part(p, count);
  }
  template <class T>
  void write(T* p, Vec v) const {
    store_part(p, v, count);
  }
};
template <class Body>
void for_vectors(std::int64_t count, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, Whole{});
  if (i < count) body(i, Part{count - i});
}

template <class From, class To>
void cast(const void* x, void* y, std::int64_t count) {
  const From* in = static_cast<const From*>(x);
  To* out = static_cast<To*>(y);
  for_vectors(count, [&](std::int64_t i, auto part) { part.write(out + i, part.read(in + i)); });
}

template <class To>
void rms_norm(const float* x, const float* weight, float eps, std::int64_t count, void* y) {
  Vec sums[2] = {};
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes)
    for (int j = 0; j < 2; j++) {
      const Vec v = load(x + i + j * kLanes);
      sums[j] = multiply_add(v, v, sums[j]);
    }
  for_vectors(count - i, [&](std::int64_t j, auto part) {
    const Vec v = part.read(x + i + j);
    sums[0] = multiply_add(v, v, sums[0]);
  });
  const float mean = reduce_sum(sums[0] + sums[1]) / static_cast<float>(count);
  const Vec scale = splat(1.0F / __builtin_sqrtf(mean + eps));
  To* out = static_cast<To*>(y);
  for_vectors(count, [&](std::int64_t j, auto part) {
    part.write(out + j, part.read(x + j) * scale * part.read(weight + j));
  });
}

template <class To>
void silu_mul(const float* gate, const float* up, std::int64_t count, void* y) {
  To* out = static_cast<To*>(y);
  for_vectors(count, [&](std::int64_t i, auto part) {
    const Vec g = part.read(gate + i);
    part.write(out + i, g / (1.0F + exp(-g)) * part.read(up + i));
  });
}

inline void rope(float* x, const float* table, std::int64_t num_heads, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t h = 0; h < num_heads; h++, x += head_dim)
    for_vectors(half, [&](std::int64_t i, auto part) {
      const Vec cosine = part.read(table + i), sine = part.read(table + half + i);
      const Vec a = part.read(x + i), b = part.read(x + half + i);
      part.write(x + i, multiply_add(a, cosine, -(b * sine)));
      part.write(x + half + i, multiply_add(b, cosine, a * sine));
    });
}

inline float max(const float* x, std::int64_t count) {
  Vec top = splat(-kInfinity);
  VecInt all_numbers = VecInt{} - 1;
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec v = load(x + i);
    all_numbers &= v == v;
    top = larger(v, top);
  }
  float result = reduce_max(top);
  for (int lane = 0; lane < kLanes; lane++)
    if (all_numbers[lane] == 0) return __builtin_nanf("");
  for (; i < count; i++) {
    if (x[i] != x[i]) return x[i];
    result = x[i] > result ? x[i] : result;
  }
  return result;
}

// Sums of a few thousand floats keep their last digits; those are added up in double.
inline constexpr std::int64_t kFloatSumLen = 1024;

template <class Write>
double exp_row(const float* x, float max, float scale, std::int64_t count, const Write& write) {
  double total = 0;
  for (std::int64_t begin = 0; begin < count; begin += kFloatSumLen) {
    const std::int64_t len = count - begin < kFloatSumLen ? count - begin : kFloatSumLen;
    Vec sum{};
    for_vectors(len, [&](std::int64_t i, auto part) {
      Vec e = exp((part.read(x + begin + i) - max) * scale);
      if constexpr (!std::is_same_v<decltype(part), Whole>) {
        float lanes[kLanes];
        store(lanes, e);
        for (std::int64_t lane = part.count; lane < kLanes; lane++) lanes[lane] = 0;
        e = load(lanes);
      }
      write(begin + i, part, e);
      sum += e;
    });
    total += static_cast<double>(reduce_sum(sum));
  }
  return total;
}

inline double sum_exp(const float* x, float max, std::int64_t count) {
  return exp_row(x, max, 1.0F, count, [](std::int64_t, auto, Vec) {});
}
inline double exp_to(const float* x, float max, float scale, std::int64_t count, float* y) {
  return exp_row(x, max, scale, count, [&](std::int64_t i, auto part, Vec e) { part.write(y + i, e); });
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
