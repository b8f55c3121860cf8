#pragma once
// What the op files of this folder (*.cc, the host's compiler) share. Kernels lie in *.cu (nvcc), each file
// behind a header of plain pointers and integers, without a View in it: a launcher there puts its kernel on
// the stream and returns cudaGetLastError(), which the op wraps in CUDA_CHECK.
#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/indices.h"
#include "tensor/cuda/cuda_error.h"
#include "tensor/tensor.h"

namespace lmdeploy::ops::cuda {

inline cudaStream_t stream_of(const Ctx& ctx) {
  return static_cast<cudaStream_t>(ctx.stream);
}

// Integers on the device: the copy that upload() made, or one in the workspace that lives as long as the
// caller's Workspace::Scope.
const std::int32_t* on_device(Ctx& ctx, const Indices& indices);
// The same for any bytes of the host.
void* on_device(Ctx& ctx, const void* host, std::size_t bytes);

}  // namespace lmdeploy::ops::cuda
