#include "ops/cuda/chained_launch.cuh"
#include "ops/cuda/resolve_ids_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void resolve(const std::int32_t* ids, const std::int32_t* drawn, std::int32_t* y,
                        std::int64_t count) {
  enter_chain();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const std::int32_t id = ids[i];
  y[i] = id < 0 ? max(drawn[~id], 0) : id;
}

}  // namespace

cudaError_t launch_resolve_ids(const std::int32_t* ids, const std::int32_t* drawn, std::int32_t* y,
                               std::int64_t count, cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  const auto num_blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  return launch_chained(resolve, dim3(num_blocks), dim3(kThreads), 0, stream, ids, drawn, y, count);
}

}  // namespace lmdeploy::ops::cuda
