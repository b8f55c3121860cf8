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
// Of an element that is the first of its pair, or the second.
__device__ inline float rotated(bool is_first, float own, float partner, float cosine, float sine) {
  return is_first ? rotated_first(own, partner, cosine, sine) : rotated_second(partner, own, cosine, sine);
}

}  // namespace lmdeploy::ops::cuda
