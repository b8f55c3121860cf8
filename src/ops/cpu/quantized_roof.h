#pragma once
// See roof_kernels.h: the same for int8. Include after a simd_quantized_*.h.
#include "ops/cpu/kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

inline double int8_multiply_adds(std::int64_t num_rounds) {
  constexpr int kAccumulators = kLanes > 8 ? 20 : 12;
  VecInt acc[kAccumulators] = {};
  VecInt x = VecInt{} + 0x01010101;
  __asm__("" : "+v"(x));
  for (std::int64_t round = 0; round < num_rounds; round++) {
#pragma GCC unroll 20
    for (int i = 0; i < kAccumulators; i++) {
      acc[i] = int8_peak_step(acc[i], x);
      __asm__("" : "+v"(acc[i]));
    }
  }
#pragma GCC unroll 20
  for (int i = 0; i < kAccumulators; i++) __asm__ volatile("" ::"v"(acc[i]));
  return static_cast<double>(num_rounds) * kAccumulators * kLanes * 4;
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
