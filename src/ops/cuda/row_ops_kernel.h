#pragma once
// Kernels of the ops that treat every row by itself. Strides are in elements.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

// Rows of floats of a type that is known at run time: f32, bf16 or f16.
struct FloatRows {
  void* data;
  DType dtype;
  std::int64_t stride;
};

// to[i] = from[ids[i]], or from[i] without ids; num_rows rows of k elements.
cudaError_t launch_convert_rows(const FloatRows& from, const std::int32_t* ids, const FloatRows& to,
                                std::int64_t num_rows, std::int64_t k, cudaStream_t stream);

struct RmsNormArguments {
  const float* x;
  std::int64_t x_stride;  // between rows; a row's groups lie side by side
  const float* weight;    // [d]
  FloatRows y;
  std::int64_t num_rows;
  std::int64_t groups_per_row;  // each of d elements, normalised by itself
  std::int64_t d;
  float eps;
};
cudaError_t launch_rms_norm(const RmsNormArguments& arguments, cudaStream_t stream);

// Inverse frequencies travel as an argument of the kernel: nothing to copy, nothing to keep.
struct RopeFrequencies {
  static constexpr int kMax = 512;
  float at[kMax];
};
// Columns [first, first + count) of the cosines, and of the sines that begin at column `half`. y: rows of
// f32.
cudaError_t launch_rope_table(const std::int32_t* positions, const RopeFrequencies& frequencies, int first,
                              int count, int half, float scale, float* y, std::int64_t y_stride,
                              std::int64_t num_rows, cudaStream_t stream);
cudaError_t launch_rope(float* x, std::int64_t x_stride, const float* table, std::int64_t table_stride,
                        std::int64_t num_rows, std::int64_t num_heads, std::int64_t half,
                        cudaStream_t stream);

// x: rows of 2k, f32 or of y's type.
cudaError_t launch_silu_mul(const FloatRows& x, const FloatRows& y, std::int64_t num_rows, std::int64_t k,
                            cudaStream_t stream);

// y[i, j] = x[i, order[j]]; elements of 2 or 4 bytes.
struct GatherArguments {
  const void* x;
  std::int64_t x_stride;
  const std::int32_t* order;  // [n]
  void* y;
  std::int64_t y_stride;
  std::int64_t num_rows;
  std::int64_t n;
  int element_bytes;
};
cudaError_t launch_gather_columns(const GatherArguments& arguments, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
