#pragma once
#include <cuda_runtime_api.h>

#include "base/error.h"

namespace lmdeploy::cuda {

// Throws Error with CUDA's own words for a call that failed, and where it stands. An error of an earlier
// kernel can appear in any later call.
void check(cudaError_t status, const char* call, const char* file, int line);

}  // namespace lmdeploy::cuda

#define CUDA_CHECK(call) ::lmdeploy::cuda::check((call), #call, __FILE__, __LINE__)
