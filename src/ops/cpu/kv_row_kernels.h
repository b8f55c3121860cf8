#pragma once
// What keys and values go through before a quantised cache keeps them: a rotation, then codes.
#include "ops/cpu/row_kernels.h"
#include "ops/key_signs.h"

namespace lmdeploy::ops::cpu {
namespace {

// The stages of a Walsh-Hadamard transform whose partners lie in one vector.
template <int kDistance = 1>
Vec transform_lanes(Vec v) {
  if constexpr (kDistance < kLanes) {
    Vec sign;
    for (int i = 0; i < kLanes; i++) sign[i] = (i & kDistance) == 0 ? 1.0F : -1.0F;
    return transform_lanes<2 * kDistance>(lanes_swapped<kDistance>(v) + v * sign);
  } else {
    return v;
  }
}

inline void transform_stage(float* x, std::int64_t distance) {
  for_vectors(distance, [&](std::int64_t i, auto part) {
    const Vec a = part.read(x + i), b = part.read(x + distance + i);
    part.write(x + i, a + b);
    part.write(x + distance + i, a - b);
  });
}

// x = H D x / sqrt(n) in blocks of n, the largest power of two that divides head_dim: signs D, then the
// Walsh-Hadamard matrix H (QuaRot: Ashkboos et al. 2024, section 3).
inline void rotate_head(float* x, std::int64_t head_dim) {
  const std::int64_t n = head_dim & -head_dim;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(n));
  for_vectors(head_dim, [&](std::int64_t i, auto part) {
    part.write(x + i, part.read(x + i) * (part.read(kKeySigns.at + i) * scale));
  });
  for (float* block = x; block < x + head_dim; block += n) {
    std::int64_t distance = 1;
    if (n >= kLanes) {
      for (std::int64_t i = 0; i < n; i += kLanes) store(block + i, transform_lanes(load(block + i)));
      distance = kLanes;
    }
    for (; distance < n; distance *= 2)
      for (std::int64_t i = 0; i < n; i += 2 * distance) transform_stage(block + i, distance);
  }
}

struct Range {
  float min = kInfinity;
  float max = -kInfinity;
  bool finite = true;
};

inline Range range_of(const float* x, std::int64_t count) {
  Vec top = splat(-kInfinity), bottom = splat(-kInfinity), probe{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec v = load(x + i);
    top = larger(v, top);
    bottom = larger(-v, bottom);
    probe += v * 0.0F;  // NaN where v is none or infinite
  }
  Range range{-reduce_max(bottom), reduce_max(top), reduce_sum(probe) == 0};
  for (; i < count; i++) {
    range.max = x[i] > range.max ? x[i] : range.max;
    range.min = x[i] < range.min ? x[i] : range.min;
    range.finite = range.finite && x[i] * 0.0F == 0;
  }
  return range;
}

inline float within_f16(float value) {
  constexpr float kLargest = 65504.0F;
  return value > kLargest ? kLargest : value < -kLargest ? -kLargest : value;
}
inline float rounded_to_f16(float value, f16_t* to) {
  store_part(to, splat(value), 1);
  return load_part(to, 1)[0];
}

template <class Part>
void write_bytes(std::uint8_t* to, VecInt v, Part part) {
  std::int64_t count = kLanes;
  if constexpr (!std::is_same_v<Part, Whole>) count = part.count;
  for (std::int64_t i = 0; i < count; i++) to[i] = static_cast<std::uint8_t>(v[i]);
}

// A row whose numbers are not all finite gets NaN for a scale, and whoever sees it NaN too. What lies beyond
// fp16 saturates. Codes refer to scale and minimum as they are kept.
inline void quantize_row(const float* x, std::int64_t count, int bits, const QuantizedRow& row) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: the sum's last bits are the nearest integer
  const auto last_code = static_cast<float>((1 << bits) - 1);
  const Range range = range_of(x, count);
  const float min = rounded_to_f16(within_f16(range.min), row.minimum), max = within_f16(range.max);
  const float scale = rounded_to_f16(range.finite ? (max - min) / last_code : __builtin_nanf(""), row.scale);
  const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
  for_vectors(count, [&](std::int64_t i, auto part) {
    const Vec code = larger((part.read(x + i) - min) * inverse, Vec{});  // 0 where it is NaN
    const Vec shifted = (code > last_code ? splat(last_code) : code) + kRound;
    write_bytes(row.codes + i, reinterpret_cast<VecInt>(shifted), part);
  });
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
