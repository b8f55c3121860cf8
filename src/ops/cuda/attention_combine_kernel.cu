#include "ops/cuda/attention_splits.cuh"
#include "ops/cuda/chained_launch.cuh"

namespace lmdeploy::ops::cuda {
namespace {

constexpr int kThreads = 256;

// The base of the weights of all parts of a row.
__device__ float largest_score(const AttentionArguments& a, const Sequence& seq, int kv_head, int row,
                               int num_parts) {
  float max = -INFINITY;
  for (int i = lane_idx(); i < num_parts; i += kWarpLen)
    max = fmaxf(max, a.part_weights[part_row(a, seq, kv_head, i, row)].x);
  max = warp_max(max);
  return max == -INFINITY ? 0.0F : max;
}

// Grid: rows, kv heads, sequences. Threads: quads of columns, times every kGroups-th part.
template <int kHeadDim>
__global__ void __launch_bounds__(kThreads) combine_parts(const __grid_constant__ AttentionArguments a) {
  enter_chain();
  constexpr int kQuads = kHeadDim / 4, kGroups = kThreads / kQuads;
  __shared__ float4 sums[kGroups][kQuads];
  __shared__ float weights[kGroups];
  const Sequence seq = sequence_at(a, static_cast<int>(blockIdx.z));
  if (!is_for_decode(a, seq)) return;
  const int kv_head = static_cast<int>(blockIdx.y), num_parts = num_active_splits(a, seq),
            group = static_cast<int>(threadIdx.x) / kQuads, quad = static_cast<int>(threadIdx.x) % kQuads;
  for (int row = static_cast<int>(blockIdx.x); row < seq.num_queries * a.group;
       row += static_cast<int>(gridDim.x)) {
    const float base = largest_score(a, seq, kv_head, row, num_parts);
    float4 sum = {};
    float weight = 0;
    for (int i = group; i < num_parts && group < kGroups; i += kGroups) {
      const std::int64_t at = part_row(a, seq, kv_head, i, row);
      const float4 part = reinterpret_cast<const float4*>(a.part_sums)[at * kQuads + quad];
      const float2 part_weight = a.part_weights[at];
      const float share = fast_exp2(part_weight.x - base);
      weight = fmaf(part_weight.y, share, weight);
      sum = {fmaf(part.x, share, sum.x), fmaf(part.y, share, sum.y), fmaf(part.z, share, sum.z),
             fmaf(part.w, share, sum.w)};
    }
    if (group < kGroups) {
      sums[group][quad] = sum;
      weights[group] = weight;
    }
    __syncthreads();
    for (int c = static_cast<int>(threadIdx.x); c < kHeadDim; c += kThreads) {
      float total = 0, total_weight = 0;
      for (int i = 0; i < kGroups; i++) {
        total += reinterpret_cast<const float*>(sums[i])[c];
        total_weight += weights[i];
      }
      store_result(a.y, a.y_type, row_offset(a, seq, kv_head, row, a.y_stride) + c,
                   total * inverse_weight(total_weight));
    }
    __syncthreads();  // before the next row
  }
}

}  // namespace

cudaError_t launch_combine_attention(const AttentionArguments& a, cudaStream_t stream) {
  const int num_rows = a.group < a.max_decode_rows ? a.group : a.max_decode_rows;
  const dim3 grid(static_cast<unsigned>(num_rows), static_cast<unsigned>(a.cache.num_kv_heads),
                  static_cast<unsigned>(a.num_seqs));
  cudaError_t status = cudaErrorInvalidValue;
  with_traits(a.cache, [&]<class Kv>(Kv) {
    status = launch_chained(combine_parts<Kv::kHeadDim>, grid, kThreads, 0, stream, a);
  });
  return status;
}

}  // namespace lmdeploy::ops::cuda
