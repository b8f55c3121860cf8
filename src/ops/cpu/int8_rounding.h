#pragma once
// Rows of x to int8 for the integer dot products. Include after row_kernels.h.
#include "ops/cpu/quantized_kernels.h"
#include "ops/cpu/row_kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

template <class X>
float largest_magnitude(const void* x, std::int64_t count) {
  const X* in = static_cast<const X*>(x);
  Vec top{};
  VecInt finite = VecInt{} - 1;
  for_vectors(count, [&](std::int64_t i, auto part) {
    const Vec magnitude = reinterpret_cast<Vec>(reinterpret_cast<VecInt>(part.read(in + i)) & 0x7fffffff);
    finite &= magnitude < kInfinity;
    top = larger(magnitude, top);
  });
  for (int lane = 0; lane < kLanes; lane++)
    if (finite[lane] == 0) return __builtin_nanf("");
  return reduce_max(top);
}

// The order of a word's bytes: see kInputByte, which is its own inverse.
using VecByte = std::int8_t __attribute__((vector_size(kLanes)));
inline VecByte in_byte_order(VecByte v) {
  VecByte from;
  for (int i = 0; i < kLanes; i++) from[i] = static_cast<std::int8_t>(i / 4 * 4 + kInputByte[i % 4]);
  return __builtin_shuffle(v, from);
}

template <class X>
float round_to_int8(const void* x, std::int64_t count, float inverse_scale, std::int8_t* y) {
  const X* in = static_cast<const X*>(x);
  const Vec round = splat(12582912.0F);  // 1.5 * 2^23: the sum's last bits are the nearest integer
  VecInt sums{};
  for_vectors(count, [&](std::int64_t i, auto part) {
    const Vec shifted = part.read(in + i) * inverse_scale + round;
    const VecInt numbers = reinterpret_cast<VecInt>(shifted) - reinterpret_cast<VecInt>(round);
    sums += numbers;
    const VecByte bytes = in_byte_order(__builtin_convertvector(numbers, VecByte));
    const std::int64_t left = (count - i + 3) / 4 * 4;
    __builtin_memcpy(y + i, &bytes, static_cast<std::size_t>(left < kLanes ? left : kLanes));
  });
  std::int64_t sum = 0;
  for (int lane = 0; lane < kLanes; lane++) sum += sums[lane];
  return static_cast<float>(sum);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
