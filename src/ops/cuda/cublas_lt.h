#pragma once
// Products of floats by cuBLASLt, which is found at run time: a program without it still answers few tokens
// at a time.
#include "ops/cuda/launch.h"

namespace lmdeploy::ops::cuda {

struct Matmul {
  DType dtype = DType::f32;  // of x and w: f32, bf16, f16. Sums are f32, never TF32.
  std::int64_t m = 0, n = 0, k = 0;
  const void* x = nullptr;  // [m, k]
  std::int64_t x_stride = 0;
  const void* w = nullptr;     // [n, k], rows without gaps
  void* y = nullptr;           // [m, n]
  DType y_dtype = DType::f32;  // f32, or dtype
  std::int64_t y_stride = 0;
  bool accumulate = false;  // y += x W^T instead of y = x W^T
};

// False: cuBLASLt has no kernel for it. Throws Error where there is no cuBLASLt.
bool cublas_matmul(Ctx& ctx, const Matmul& matmul);

}  // namespace lmdeploy::ops::cuda
