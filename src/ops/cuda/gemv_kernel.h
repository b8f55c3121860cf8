#pragma once
#include <cuda_runtime_api.h>

#include "ops/cuda/card_limits.h"
#include "ops/cuda/linear_output.h"
#include "ops/cuda/prologue_norm.h"
#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

// y = x W^T of floats, for up to 8 tokens.
struct FloatGemv {
  DType dtype = DType::f32;  // of x and w: f32, bf16, f16
  const void* x = nullptr;   // [m, k]
  std::int64_t x_stride = 0;
  PrologueNorm norm = {};   // of launch_gemv
  const void* w = nullptr;  // [n, k], rows without gaps
  bool w_is_new = false;    // by a kernel that may still run; else w is read while that one does
  int m = 0;
  std::int64_t n = 0, k = 0;
  LinearOutput out;
};

// Of bf16 and f16, k a multiple of 8, rows of x and w aligned to 16 bytes. gated: n a multiple of 32. What
// does not fit into the shared memory of a block, x stays where it is, which a norm cannot be in front of.
std::size_t gemv_shared_bytes(std::int64_t k, int m, bool is_gated);
cudaError_t launch_gemv(const FloatGemv& gemv, const CardLimits& card, cudaStream_t stream);
// Of any type and alignment; no norm, not gated.
cudaError_t launch_plain_gemv(const FloatGemv& gemv, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
