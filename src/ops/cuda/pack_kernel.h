#pragma once
#include "ops/cuda/quantized_layout.h"

namespace lmdeploy::ops::cuda {

// Rows of quantised weights on the device, without gaps. See quant/quantized_rows.h.
struct PackSource {
  const std::uint8_t* q = nullptr;      // [num_rows, k]
  const float* scales = nullptr;        // [num_rows, num_groups]
  const std::uint8_t* zeros = nullptr;  // [num_rows, num_groups]; not read where the matrix has none
  std::int64_t num_rows = 0;
};

// To rows [first_row, first_row + num_rows) of the matrix.
cudaError_t launch_pack(const PackSource& source, const QuantizedMatrixPointers& matrix,
                        std::int64_t first_row, cudaStream_t stream);

// Floats to the nearest integers, as cpu/quantize_rows.cc does. x: [num_rows, k] of x_dtype without gaps. The
// outputs are what launch_pack reads.
struct QuantizeTarget {
  std::uint8_t* q = nullptr;
  float* scales = nullptr;
  std::uint8_t* zeros = nullptr;
};
cudaError_t launch_quantize(const void* x, DType x_dtype, std::int64_t num_rows,
                            const QuantizedLayout& layout, const QuantizeTarget& target, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
