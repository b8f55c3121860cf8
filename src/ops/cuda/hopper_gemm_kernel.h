#pragma once
#include "ops/cuda/quantized_gemv_kernel.h"

namespace lmdeploy::ops::cuda {

// The product of a quantised matrix and many tokens by wgmma. Weights are rounded to x's type, as by
// dequantize_slice.
inline constexpr int kMaxHopperTokens = 128;
// Fewer are done sooner by quantized_gemm: 16 in 74 us for a layer of a 7B in 4 bits on an H100, here in 88.
inline constexpr int kMinHopperTokens = 17;

// Whether the card's code has the kernel, and it takes such a matrix: of groups of a multiple of 128 inputs.
bool has_hopper_gemm(const QuantizedLayout& layout);

// How the inputs are cut: slices' sums go to [num_slices][m][n] f32 of scratch, and launch_add_slices adds
// them up; where there is one they are written as they are.
struct HopperGemmPlan {
  int num_slices = 1;
  int slice_units = 0;  // of 128 inputs; the last slice may have fewer
  int num_ctas = 0;     // a multiple of num_slices
};
HopperGemmPlan plan_hopper_gemm(const QuantizedLayout& layout, int num_multiprocessors);

// Up to kMaxHopperTokens tokens. partial: scratch of the plan's slices, none where there is one.
cudaError_t launch_hopper_gemm(const QuantizedMatrixPointers& w, const QuantizedInputs& inputs,
                               const HopperGemmPlan& plan, float* partial, const LinearOutput& out,
                               cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
