#pragma once
// A quantised packed matrix as the kernels take it, for op files.
#include "ops/cuda/quantized_layout.h"
#include "ops/packed_matrix.h"

namespace lmdeploy::ops::cuda {

inline QuantizedLayout quantized_layout(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  const QuantFormat& quant = *format.quant;
  return {n, k, quant.group_size, quant.bits, format.dtype, quant.scale_dtype, quant.code};
}

inline QuantizedMatrixPointers quantized_matrix(const PackedMatrix& matrix) {
  return {quantized_layout(matrix.format, matrix.n, matrix.k), matrix.data.view().data};
}

}  // namespace lmdeploy::ops::cuda
