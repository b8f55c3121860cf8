#pragma once
// The rotation of a pair by its position's angle (ops::rope). Multiplied and added in this way wherever it is
// done, so that its bits do not depend on the kernel.
#include <cuda_runtime.h>

namespace lmdeploy::ops::cuda {

__device__ inline float rotated_first(float first, float second, float cosine, float sine) {
  return fmaf(first, cosine, -(second * sine));
}
__device__ inline float rotated_second(float first, float second, float cosine, float sine) {
  return fmaf(second, cosine, first * sine);
}

}  // namespace lmdeploy::ops::cuda
