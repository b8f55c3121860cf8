#pragma once
#include "tensor/ctx.h"

namespace lmdeploy::ops {

// What the machine can do at best, measured: the ceilings that benchmarks divide by.
struct Roofs {
  double read_bytes_per_s = 0;  // plain read of a buffer far beyond the caches, all threads
  double bf16_flops = 0;        // multiply-adds x 2 per second from registers, all threads: bf16 dot products
                                // where the machine has them, f32 FMA otherwise
  double int8_ops = 0;          // the same of u8 x s8 dot products
};

// Takes about a second and 512 MB for its duration.
Roofs measure_roofs(Ctx& ctx);

}  // namespace lmdeploy::ops
