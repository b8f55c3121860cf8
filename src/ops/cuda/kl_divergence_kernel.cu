#include "ops/cuda/block_reduce.cuh"
#include "ops/cuda/kl_divergence_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 512;

// NaN is passed over: it shows in the sums.
__device__ double max_of_row(const float* x, std::int64_t v) {
  float max = -INFINITY;
  for (std::int64_t i = threadIdx.x; i < v; i += kThreads) max = fmaxf(max, x[i]);
  return static_cast<double>(reduce_block<kThreads>(max, Larger{}));
}

// sum p (log p - log q), with log p = a - log A and log q = b - log B for the unnormalised rows a and b,
// whose maxima are taken out. One block a row. Both rows are treated alike, so equal rows give exactly 0.
__global__ void __launch_bounds__(kThreads) kl_of_rows(const KlArguments rows) {
  const std::int64_t row = blockIdx.x;
  const float* p = rows.p + row * rows.p_stride;
  const float* q = rows.q + row * rows.q_stride;
  const double p_max = max_of_row(p, rows.v), q_max = max_of_row(q, rows.v);
  double p_sum = 0, q_sum = 0, difference = 0;
  for (std::int64_t i = threadIdx.x; i < rows.v; i += kThreads) {
    const double a = static_cast<double>(p[i]) - p_max, b = static_cast<double>(q[i]) - q_max;
    const double weight = exp(a);
    p_sum += weight;
    q_sum += exp(b);
    if (weight != 0) difference += weight * (a - b);  // 0 log 0 = 0; also keeps inf - inf out
  }
  p_sum = reduce_block<kThreads>(p_sum, Add{});
  q_sum = reduce_block<kThreads>(q_sum, Add{});
  difference = reduce_block<kThreads>(difference, Add{});
  if (threadIdx.x != 0) return;
  const double kl = difference / p_sum - log(p_sum) + log(q_sum);
  rows.kl[row] = kl < 0 ? 0 : kl;  // below 0 by rounding only; NaN stays
}

}  // namespace

cudaError_t launch_kl_divergence(const KlArguments& arguments, cudaStream_t stream) {
  if (arguments.num_rows == 0) return cudaSuccess;
  kl_of_rows<<<static_cast<unsigned>(arguments.num_rows), kThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace lmdeploy::ops::cuda
