#pragma once
#include <cuda_runtime_api.h>

#include "ops/cuda/linear_output.h"
#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

// y = x W^T of 16-bit floats, each output summed in one order whatever m is: slices of 1024 inputs, within
// one the inputs from the first on, 16 to an instruction, then the slices from the first on. How many tokens
// a block computes and whether one goes over all slices or each has blocks of its own depends on m.
struct FixedGemm {
  DType dtype = DType::bf16;  // of x and w: bf16, f16
  const void* x = nullptr;    // [m, k], rows aligned to 16 bytes
  std::int64_t x_stride = 0;
  const void* w =
      nullptr;  // [n, k], rows without gaps, aligned to 16 bytes; read while the kernel before runs
  std::int64_t m = 0, n = 0, k = 0;
  LinearOutput out;
  float* partial =
      nullptr;  // [slices][m][n] of scratch, which launch_add_slices adds up; none: straight to out
};

// Slices of a product whose tiles alone would leave multiprocessors without work; 1: it needs no scratch.
int fixed_gemm_slices(std::int64_t m, std::int64_t n, std::int64_t k, int num_multiprocessors);

// partial: of fixed_gemm_slices(), none where that is 1.
cudaError_t launch_fixed_gemm(const FixedGemm& gemm, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
