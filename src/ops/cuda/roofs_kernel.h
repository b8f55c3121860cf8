#pragma once
// What measure_roofs times.
#include <cuda_runtime_api.h>

#include <cstdint>

namespace lmdeploy::ops::cuda {

// bf16 in [-1, 1), all different to the eye: matrix units are slower on random numbers than on zeros.
cudaError_t launch_fill_random(void* data, std::int64_t num_elements, cudaStream_t stream);

// Reads everything once. bytes: a multiple of 16; sink: one word, which nothing is written to.
cudaError_t launch_read(const void* data, std::int64_t bytes, int num_multiprocessors, unsigned* sink,
                        cudaStream_t stream);

// u8 x s8 on the tensor cores, from registers. Returns in num_ops the multiply-adds x 2 that it puts on the
// stream.
cudaError_t launch_int8_multiply_adds(int num_multiprocessors, int* sink, double& num_ops,
                                      cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
