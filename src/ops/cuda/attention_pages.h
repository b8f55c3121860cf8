#pragma once
#include <cuda.h>

#include "ops/kv_layer.h"

namespace lmdeploy::ops::cuda {

// A cache of floats as a tensor whose boxes the copy engine brings to shared memory, for
// launch_hopper_attention. Of a quantised cache nothing is described. Throws Error where the driver cannot.
CUtensorMap describe_pages(const KvLayer& cache);

}  // namespace lmdeploy::ops::cuda
