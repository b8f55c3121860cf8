#pragma once
// See roof_kernels.h: the same for int8. Include after a simd_quantized_*.h.
#include "ops/cpu/roof_loop.h"

namespace lmdeploy::ops::cpu {
namespace {

inline double int8_multiply_adds(std::int64_t num_rounds) {
  const auto step = [](VecInt acc, VecInt x) { return int8_peak_step(acc, x); };
  return repeat_step(num_rounds, VecInt{} + 0x01010101, step) * kLanes * 4;
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
