#pragma once
#include "ops/cuda/quantized_layout.h"

namespace lmdeploy::ops::cuda {

// Rows of a quantised matrix as floats: (q - zero) * scale or q * scale, rounded to f32 and then to y's type.

// Rows ids[i]. ids: [num_rows] on the device; y: [num_rows, k].
cudaError_t launch_dequantize_rows(const QuantizedMatrixPointers& w, const std::int32_t* ids,
                                   std::int64_t num_rows, float* y, std::int64_t y_stride,
                                   cudaStream_t stream);
// Rows [first_row, first_row + num_rows), first_row a multiple of 16. y: [num_rows, k] without gaps, f32,
// bf16 or f16, aligned to 16 bytes.
cudaError_t launch_dequantize_slice(const QuantizedMatrixPointers& w, std::int64_t first_row,
                                    std::int64_t num_rows, DType y_dtype, void* y, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
