#pragma once
// What the machine can do at best: a plain read, and multiply-adds that never leave the registers.
#include "ops/cpu/kernels.h"
#include "ops/cpu/roof_loop.h"
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

inline double multiply_adds(std::int64_t num_rounds) {
  const auto step = [](Vec acc, Vec x) { return peak_step(acc, x); };
  return repeat_step(num_rounds, splat(1.0F), step) * kLanes * (kBf16Dot ? 2 : 1);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
