#pragma once
// A packed matrix of integers as the kernels take it, for op files.
#include "ops/cuda/quantized_layout.h"
#include "ops/packed_matrix.h"

namespace lmdeploy::ops::cuda {

inline QuantizedLayout quantized_layout(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  return {n, k, format.quant->group_size, format.quant->bits, format.dtype, format.quant->scale_dtype};
}

inline QuantizedMatrixPointers quantized_matrix(const PackedMatrix& matrix) {
  return {quantized_layout(matrix.format, matrix.n, matrix.k), matrix.data.view().data};
}

}  // namespace lmdeploy::ops::cuda
