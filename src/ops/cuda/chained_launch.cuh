#pragma once
// Launches that overlap (programmatic dependent launch, CUDA programming guide, "Programmatic Dependent
// Launch and Synchronization"): a kernel's blocks may be set up while its predecessor on the stream still
// runs. In return such a kernel calls wait_for_predecessor() before it touches anything that an earlier
// kernel writes or reads; weights, which nobody writes, it may fetch before. Work is then chained: whoever
// has waited knows that all before it has ended.
#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

namespace lmdeploy::ops::cuda {

// All that earlier kernels of the stream wrote can be read from here on, and what they read may be
// overwritten.
__device__ inline void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

// From here on the successor's blocks may be set up where there is room: called once all of a block's own
// resources are taken, so as early as it can be.
__device__ inline void let_successor_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

// How a kernel begins that has nothing to fetch beforehand.
__device__ inline void enter_chain() {
  let_successor_start();
  wait_for_predecessor();
}

// Whether the code of this kernel that runs on the current card waits: what was compiled for an older
// architecture does not, and must not be launched early.
template <class... Parameters>
bool waits_for_predecessor(void (*kernel)(Parameters...)) {
  cudaFuncAttributes attributes{};
  return cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess && attributes.ptxVersion >= 90 &&
         attributes.binaryVersion >= 90;
}

inline cudaLaunchAttribute overlap_attribute() {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  return overlap;
}

// Puts a kernel that begins with wait_for_predecessor() on the stream.
template <class... Parameters, class... Arguments>
cudaError_t launch_chained(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                           cudaStream_t stream, Arguments&&... arguments) {
  cudaLaunchAttribute overlap = overlap_attribute();
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = waits_for_predecessor(kernel) ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

}  // namespace lmdeploy::ops::cuda
