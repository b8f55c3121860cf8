#pragma once
#include <type_traits>

#include "ops/cuda/attention_kernel.h"
#include "ops/cuda/chained_launch.cuh"

namespace lmdeploy::ops::cuda {

// A kernel with more shared memory than it gets without asking, that waits for its predecessor.
template <class Arguments>
cudaError_t launch_attention(void (*kernel)(Arguments), dim3 grid, int num_threads, int shared_bytes,
                             const std::type_identity_t<Arguments>& arguments, cudaStream_t stream) {
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (status != cudaSuccess) return status;
  return launch_chained(kernel, grid, num_threads, static_cast<std::size_t>(shared_bytes), stream, arguments);
}

}  // namespace lmdeploy::ops::cuda
