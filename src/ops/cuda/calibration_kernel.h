#pragma once
// What calibration computes of activations. Strides are in elements.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/row_ops_kernel.h"

namespace lmdeploy::ops::cuda {

// y[j, i] = x[i, j]. x: [m, k]; y: [k, m] of the same type.
cudaError_t launch_transpose(const FloatRows& x, const FloatRows& y, std::int64_t m, std::int64_t k,
                             cudaStream_t stream);

// y = a - b, all of one type.
cudaError_t launch_subtract(const FloatRows& a, const FloatRows& b, const FloatRows& y, std::int64_t num_rows,
                            std::int64_t k, cudaStream_t stream);

// y[i, j] = x[i, j] * factors[j]
cudaError_t launch_multiply_columns(const float* x, std::int64_t x_stride, const float* factors, float* y,
                                    std::int64_t y_stride, std::int64_t num_rows, std::int64_t k,
                                    cudaStream_t stream);

// Statistics of channels: of the tokens of a chunk, or kept for all of them.
struct ChannelPointers {
  float* abs_max;
  float* abs_sum;
  std::int32_t* not_finite;
};
inline constexpr int kTokensPerChunk = 32;
// chunks: [ceil(num_rows / kTokensPerChunk), k] each, scratch. total: [k] each; left_out: [k], what rounding
// has left out of total.abs_sum.
cudaError_t launch_channel_statistics(const FloatRows& x, std::int64_t num_rows, std::int64_t k,
                                      const ChannelPointers& chunks, const ChannelPointers& total,
                                      float* left_out, cudaStream_t stream);

// sums[i] = sum of x[i, j]^2
cudaError_t launch_row_squares(const float* x, std::int64_t x_stride, std::int64_t num_rows, std::int64_t n,
                               double* sums, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
