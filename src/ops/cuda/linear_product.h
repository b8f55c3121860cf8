#pragma once
// Products with the weights of linear layers, for linear.cc and what is fused with them.
#include "ops/cuda/linear_inputs.h"
#include "ops/cuda/linear_output.h"
#include "ops/cuda/quantized_matrix.h"
#include "ops/ops.h"

namespace lmdeploy::ops::cuda {

// Whether launch_quantized_gemv has room for m tokens.
bool fits_gemv(const QuantizedLayout& layout, std::int64_t m, bool is_gated);

inline LinearOutput output_of(const View& y, const LinearOptions& options) {
  LinearOutput out;
  out.y = y.as<float>();
  out.stride = y.row_stride;
  out.bias = options.bias.empty() ? nullptr : options.bias.as<float>();
  out.accumulate = options.accumulate;
  return out;
}

// x: [m, k] of w.dtype(), m > 0. out.gated: only where gates_in_gemv() (fused_linear.cc) says so.
void linear_product(Ctx& ctx, const View& x, const PackedMatrix& w, const LinearOutput& out);

// y = x W^T in w.dtype(); false where that is not to be had: of few rows, in f32, of rounded inputs, or where
// cuBLASLt has no kernel. y may have been written then.
bool rounded_product(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y);

}  // namespace lmdeploy::ops::cuda
