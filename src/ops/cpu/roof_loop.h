#pragma once
// See roof_kernels.h. Include after a simd_*.h.
#include <cstdint>

namespace lmdeploy::ops::cpu {
namespace {

// acc = step(acc, x) in as many registers as hide a step's latency, num_rounds times; returns how often. The
// operands pass through empty assembly, or the compiler would see a loop without an effect.
template <class V, class Step>
double repeat_step(std::int64_t num_rounds, V x, const Step& step) {
  constexpr int kAccumulators = kLanes > 8 ? 20 : 12;
  V acc[kAccumulators] = {};
  __asm__("" : "+v"(x));
  for (std::int64_t round = 0; round < num_rounds; round++) {
#pragma GCC unroll 20
    for (int i = 0; i < kAccumulators; i++) {
      acc[i] = step(acc[i], x);
      __asm__("" : "+v"(acc[i]));
    }
  }
#pragma GCC unroll 20
  for (int i = 0; i < kAccumulators; i++) __asm__ volatile("" ::"v"(acc[i]));
  return static_cast<double>(num_rounds) * kAccumulators;
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
