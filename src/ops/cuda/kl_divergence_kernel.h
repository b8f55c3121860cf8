#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

namespace lmdeploy::ops::cuda {

// kl[i] = KL(softmax(p[i]) || softmax(q[i])). Rows of v > 0 logits; strides in elements.
struct KlArguments {
  const float* p;
  std::int64_t p_stride;
  const float* q;
  std::int64_t q_stride;
  std::int64_t num_rows;
  std::int64_t v;
  double* kl;
};
cudaError_t launch_kl_divergence(const KlArguments& arguments, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
