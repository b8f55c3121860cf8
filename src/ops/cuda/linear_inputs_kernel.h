#pragma once
#include <cuda_runtime_api.h>

#include "ops/cuda/linear_output.h"
#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

// x of a linear layer, before its kernels.
struct LinearInputs {
  const void* x = nullptr;   // [m, k]
  DType dtype = DType::f32;  // f32, bf16, f16
  std::int64_t stride = 0;
  std::int64_t m = 0, k = 0;
};

// y[:, group * padded_group + i] = x[:, group * group_size + i], zero in between and up to padded_k. y: [m,
// padded_k] without gaps, of x's type or of f32.
cudaError_t launch_pad_inputs(const LinearInputs& inputs, std::int64_t group_size, std::int64_t padded_group,
                              std::int64_t padded_k, DType y_dtype, void* y, cudaStream_t stream);

// As int8 with one scale per row and `span` inputs gives x back, rounded as cpu/quantized_inputs.cc does: y:
// [m, k] f32.
cudaError_t launch_round_inputs(const LinearInputs& inputs, std::int64_t span, float* y, cudaStream_t stream);
// The same integers of whole rows, in x's type, which holds them exactly, and the scales. y: [m, k]; scales:
// [m].
cudaError_t launch_int8_inputs(const LinearInputs& inputs, void* y, float* scales, cudaStream_t stream);

// launch_round_inputs of bf16 or f16 as two numbers of x's type, which together keep 16 or more bits of it:
// rows [0, m) of y have the upper parts, rows [m, 2m) what those lack. y: [2m, k].
cudaError_t launch_split_rounded_inputs(const LinearInputs& inputs, std::int64_t span, void* y,
                                        cudaStream_t stream);

// out = the sum of partial's slices. partial: [num_slices][m][n].
cudaError_t launch_add_slices(const float* partial, int num_slices, std::int64_t m, std::int64_t n,
                              const LinearOutput& out, cudaStream_t stream);
// y = bias, or y += bias. For products that add to y.
cudaError_t launch_add_bias(const LinearOutput& out, std::int64_t m, std::int64_t n, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
