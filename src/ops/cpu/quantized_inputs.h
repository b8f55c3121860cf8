#pragma once
#include "ops/cpu/quantized_layout.h"

namespace lmdeploy::ops::cpu {

// x as the kernels of quantised matrices read it, in the workspace or x itself.
struct QuantizedInputs {
  DType dtype = DType::f32;  // f32 or bf16, or i8 of rounded inputs
  const void* data = nullptr;
  std::int64_t stride = 0;        // elements
  const float* scales = nullptr;  // [m, num_spans] of rounded inputs
  const float* sums = nullptr;    // [m, num_spans]
};

QuantizedInputs quantized_inputs(Ctx& ctx, const View& x, const PackedMatrix& w,
                                 const QuantizedLayout& layout);

}  // namespace lmdeploy::ops::cpu
