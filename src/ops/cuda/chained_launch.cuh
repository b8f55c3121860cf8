#pragma once
// Launches that overlap (programmatic dependent launch, CUDA programming guide, "Programmatic Dependent
// Launch and Synchronization"): a kernel's blocks may be set up while its predecessor on the stream still
// runs. In return such a kernel calls wait_for_predecessor() before it touches anything that an earlier
// kernel writes or reads; weights, which nobody writes, it may fetch before. Work is then chained: whoever
// has waited knows that all before it has ended.
#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "ops/cuda/kernel_settings.h"

namespace lmdeploy::ops::cuda {

// All that earlier kernels of the stream wrote can be read from here on, and what they read may be
// overwritten.
__device__ inline void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

// From here on the successor's blocks may be set up where there is room. Called behind the wait: then the
// blocks of two kernels share the card, not of three, and the successor's are spread over all of it instead
// of crowding where the first blocks of the predecessor's predecessor have ended.
__device__ inline void let_successor_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

// How a kernel begins that has nothing to fetch beforehand.
__device__ inline void enter_chain() {
  wait_for_predecessor();
  let_successor_start();
}

// Whether the code of this kernel that runs on the current card waits.
template <class... Parameters>
bool waits_for_predecessor(void (*kernel)(Parameters...)) {
  KernelSettings settings;
  return prepare_kernel(reinterpret_cast<const void*>(kernel), 0, settings) == cudaSuccess &&
         settings.waits_for_predecessor;
}

inline cudaLaunchAttribute overlap_attribute() {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  return overlap;
}

// Puts a kernel on the stream; it may have any shared memory that the card has. may_overlap: it begins with
// wait_for_predecessor(), and what it does before may be done while the predecessor runs.
template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(bool may_overlap, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                          std::size_t shared_bytes, cudaStream_t stream, Arguments&&... arguments) {
  KernelSettings settings;
  const cudaError_t status = prepare_kernel(reinterpret_cast<const void*>(kernel), shared_bytes, settings);
  if (status != cudaSuccess) return status;
  cudaLaunchAttribute overlap = overlap_attribute();
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = may_overlap && settings.waits_for_predecessor ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}
template <class... Parameters, class... Arguments>
cudaError_t launch_chained(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                           cudaStream_t stream, Arguments&&... arguments) {
  return launch_kernel(true, kernel, grid, block, shared_bytes, stream,
                       std::forward<Arguments>(arguments)...);
}

}  // namespace lmdeploy::ops::cuda
