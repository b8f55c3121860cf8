#pragma once

namespace lmdeploy::ops::cuda {

__device__ inline float silu(float x) {
  return x / (1 + expf(-x));
}

}  // namespace lmdeploy::ops::cuda
