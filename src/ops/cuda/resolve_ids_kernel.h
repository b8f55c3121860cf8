#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace lmdeploy::ops::cuda {

// y[i] = ids[i] < 0 ? max(drawn[~ids[i]], 0) : ids[i], for i < count.
cudaError_t launch_resolve_ids(const std::int32_t* ids, const std::int32_t* drawn, std::int32_t* y,
                               std::int64_t count, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
