#pragma once
#include "ops/cuda/attention_kernel.h"

namespace lmdeploy::ops::cuda {

// A kernel with more shared memory than it gets without asking.
inline cudaError_t launch_attention(void (*kernel)(AttentionArguments), dim3 grid, int num_threads,
                                    int shared_bytes, const AttentionArguments& arguments,
                                    cudaStream_t stream) {
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (status != cudaSuccess) return status;
  kernel<<<grid, num_threads, shared_bytes, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
