#pragma once
#include "ops/cuda/quantized_gemv_kernel.h"

namespace lmdeploy::ops::cuda {

inline constexpr int kMaxGemmTokens = 64;

// How the inputs are cut: blocks with the same slice hold its x in shared memory and go over all outputs.
// With more than one slice their sums go to [num_slices][m][n] f32 of scratch, and what adds them up is
// launch_add_slices.
struct GemmPlan {
  int num_slices = 1;
  int slice_units = 0;  // the last slice may have fewer
  int num_blocks = 0;
  std::size_t shared_bytes = 0;
};
// Up to kMaxGemmTokens tokens, on a card of so many multiprocessors with so much shared memory for a block.
GemmPlan plan_quantized_gemm(const QuantizedLayout& layout, int m, int num_multiprocessors,
                             std::size_t max_shared_bytes);

// partial: scratch of the plan's slices, none where there is one.
cudaError_t launch_quantized_gemm(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                                  const GemmPlan& plan, float* partial, const LinearOutput& out,
                                  cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
