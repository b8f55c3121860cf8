#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>

namespace lmdeploy::ops::cuda {

// What a launch has to know about a kernel on the current card, asked of CUDA once.
struct KernelSettings {
  // Whether its code there waits for the kernel before it (chained_launch.cuh): what was compiled for an
  // older architecture does not, and must not be launched early.
  bool waits_for_predecessor = false;
};

// Lets the kernel have so much dynamic shared memory, and a multiprocessor all the shared memory there is:
// between kernels that divide the first-level cache differently a multiprocessor runs empty, and then none of
// the successor's blocks is set up beside the predecessor's.
cudaError_t prepare_kernel(const void* kernel, std::size_t shared_bytes, KernelSettings& settings);

}  // namespace lmdeploy::ops::cuda
