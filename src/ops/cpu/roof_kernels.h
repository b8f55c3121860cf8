#pragma once
// What the machine can do at best: a plain read, and multiply-adds that never leave the registers.
#include "ops/cpu/kernels.h"
#include "ops/cpu/simd_math.h"

namespace lmdeploy::ops::cpu {
namespace {

inline std::uint64_t read(const void* data, std::int64_t bytes) {
  constexpr int kStreams = 4;
  constexpr std::int64_t kReadAheadBytes = 6 << 10;  // as the kernels do, or they would overtake the ceiling
  const char* p = static_cast<const char*>(data);
  VecInt sums[kStreams] = {};
  for (std::int64_t i = 0; i < bytes; i += kStreams * static_cast<std::int64_t>(sizeof(VecInt)))
    for (int j = 0; j < kStreams; j++) {
      VecInt v;
      __builtin_prefetch(p + i + j * static_cast<std::int64_t>(sizeof v) + kReadAheadBytes);
      __builtin_memcpy(&v, p + i + j * static_cast<std::int64_t>(sizeof v), sizeof v);
      sums[j] += v;
    }
  std::uint64_t total = 0;
  for (int j = 0; j < kStreams; j++)
    for (int lane = 0; lane < kLanes; lane++) total += static_cast<std::uint32_t>(sums[j][lane]);
  return total;
}

// The operands pass through empty assembly, or the compiler would see a loop without an effect.
inline double multiply_adds(std::int64_t num_rounds) {
  constexpr int kAccumulators = kLanes > 8 ? 20 : 12;
  Vec acc[kAccumulators];
#pragma GCC unroll 20
  for (int i = 0; i < kAccumulators; i++) acc[i] = splat(static_cast<float>(i));
  Vec x = splat(1.0F);
  __asm__("" : "+v"(x));
  for (std::int64_t round = 0; round < num_rounds; round++) {
#pragma GCC unroll 20
    for (int i = 0; i < kAccumulators; i++) {
      acc[i] = peak_step(acc[i], x);
      __asm__("" : "+v"(acc[i]));
    }
  }
#pragma GCC unroll 20
  for (int i = 0; i < kAccumulators; i++) __asm__ volatile("" ::"v"(acc[i]));
  return static_cast<double>(num_rounds) * kAccumulators * kLanes * (kBf16Dot ? 2 : 1);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
