#pragma once
// How the decode kernel's sums come together: those of a CTA's warps in shared memory, then those of a
// sequence's splits. Splits write their parts to global memory and take a ticket; whoever takes the last one
// adds all parts up, in their order, so the result does not depend on who that is.
#include "ops/cuda/attention_slabs.cuh"

namespace lmdeploy::ops::cuda {

// What the warps of a CTA have, in shared memory where the stages were.
template <class Shape>
struct WarpSums {
  static constexpr int kFloats = Shape::kRows * Shape::kSumStride;  // of a warp

  float* sums;          // [kWarps][kRows][kSumStride]
  float2* row_weights;  // [kWarps][kRows]: largest score, sum of weights

  explicit __device__ WarpSums(char* shared)
      : sums(reinterpret_cast<float*>(shared)),
        row_weights(reinterpret_cast<float2*>(sums + Shape::kWarps * kFloats)) {}
};

__device__ inline void add_scaled(float4& sum, const float4& part, float share) {
  sum.x = fmaf(part.x, share, sum.x);
  sum.y = fmaf(part.y, share, sum.y);
  sum.z = fmaf(part.z, share, sum.z);
  sum.w = fmaf(part.w, share, sum.w);
}

__device__ inline void store_quad(const AttentionArguments& a, std::int64_t at, const float4& sum,
                                  float factor) {
  store_pair(a, at, sum.x * factor, sum.y * factor);
  store_pair(a, at + 2, sum.z * factor, sum.w * factor);
}

// The sums of all warps, as a part of the sequence or, if it is the only one, as the result.
template <class Shape>
__device__ void merge_warps(const AttentionArguments& a, const Sequence& seq, int kv_head, int split,
                            int num_splits, const WarpSums<Shape>& from, int num_rows) {
  constexpr int kQuads = Shape::Kv::kHeadDim / 4;
  for (int i = static_cast<int>(threadIdx.x); i < num_rows * kQuads; i += Shape::kThreads) {
    const int row = i / kQuads, quad = i % kQuads;
    float max = -INFINITY, weight = 0;
    float4 sum{};
#pragma unroll
    for (int w = 0; w < Shape::kWarps; w++) max = fmaxf(max, from.row_weights[w * Shape::kRows + row].x);
    const float base = max == -INFINITY ? 0.0F : max;
#pragma unroll
    for (int w = 0; w < Shape::kWarps; w++) {
      const int at = w * Shape::kRows + row;
      const float share = fast_exp2(from.row_weights[at].x - base);
      weight = fmaf(from.row_weights[at].y, share, weight);
      add_scaled(sum, reinterpret_cast<const float4*>(from.sums + at * Shape::kSumStride)[quad], share);
    }
    if (num_splits == 1) {
      store_quad(a, row_offset(a, seq, kv_head, row, a.y_stride) + 4 * quad, sum, inverse_weight(weight));
    } else {
      const std::int64_t to = part_row(a, seq, kv_head, split, row);
      reinterpret_cast<float4*>(a.part_sums)[to * kQuads + quad] = sum;
      if (quad == 0) a.part_weights[to] = {max, weight};
    }
  }
}

// Whether the parts of all splits are written, as all threads of the CTA then can see. The ticket is 0 again
// after the last of them.
__device__ inline bool is_last_split(const AttentionArguments& a, const Sequence& seq, int kv_head,
                                     int num_splits) {
  __shared__ bool is_last;
  __syncthreads();  // the CTA's own part is written
  if (threadIdx.x == 0) {
    __threadfence();
    const auto last = static_cast<unsigned>(num_splits - 1);
    is_last = atomicInc(a.tickets + seq.idx * a.cache.num_kv_heads + kv_head, last) == last;
    __threadfence();
  }
  __syncthreads();
  return is_last;
}

// What each split's sums of each row are multiplied by, the division by all weights included: shares,
// [num_splits][kRows] in shared memory. Parts are read past the first-level cache.
template <class Shape>
__device__ void find_shares(const AttentionArguments& a, const Sequence& seq, int kv_head, int num_splits,
                            int num_rows, float* shares) {
  constexpr int kPerLane = kMaxSplits / kWarpLen;
  for (int row = static_cast<int>(threadIdx.x) / kWarpLen; row < num_rows; row += Shape::kWarps) {
    float2 parts[kPerLane];
    float max = -INFINITY, weight = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      const int split = lane_idx() + kWarpLen * i;
      parts[i] = {-INFINITY, 0.0F};
      if (split < num_splits) parts[i] = __ldcg(a.part_weights + part_row(a, seq, kv_head, split, row));
      max = fmaxf(max, parts[i].x);
    }
    max = warp_max(max);
    const float base = max == -INFINITY ? 0.0F : max;
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      parts[i].x = fast_exp2(parts[i].x - base);
      weight = fmaf(parts[i].y, parts[i].x, weight);
    }
    const float inverse = inverse_weight(warp_sum(weight));
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      const int split = lane_idx() + kWarpLen * i;
      if (split < num_splits) shares[split * Shape::kRows + row] = parts[i].x * inverse;
    }
  }
}

// Quads of a row of consecutive splits, as many at a time as hide how long they take to come.
struct PartQuads {
  static constexpr int kCount = 12;
  float4 quads[kCount];

  // from: of split 0; step: between splits.
  __device__ void load(const float4* from, std::int64_t step, int first, int num_splits) {
#pragma unroll
    for (int j = 0; j < kCount; j++)
      if (first + j < num_splits) quads[j] = __ldcg(from + (first + j) * step);
  }
  // shares: of split 0.
  __device__ void add(float4& sum, const float* shares, int share_step, int first, int num_splits) const {
#pragma unroll
    for (int j = 0; j < kCount; j++)
      if (first + j < num_splits) add_scaled(sum, quads[j], shares[(first + j) * share_step]);
  }
};

// The result of a sequence and kv head from the parts of all splits, by a whole CTA. Each thread's first
// parts come while the shares are found.
template <class Shape>
__device__ void merge_splits(const AttentionArguments& a, const Sequence& seq, int kv_head, int num_splits,
                             int num_rows, float* shares) {
  constexpr int kQuads = Shape::Kv::kHeadDim / 4;
  const std::int64_t step = std::int64_t{a.max_decode_rows} * kQuads;
  const auto* sums = reinterpret_cast<const float4*>(a.part_sums) + part_row(a, seq, kv_head, 0, 0) * kQuads;
  PartQuads parts;
  int i = static_cast<int>(threadIdx.x);
  if (i < num_rows * kQuads) parts.load(sums + i, step, 0, num_splits);
  find_shares<Shape>(a, seq, kv_head, num_splits, num_rows, shares);
  __syncthreads();
  for (; i < num_rows * kQuads; i += Shape::kThreads) {
    const int row = i / kQuads, quad = i % kQuads;
    if (i >= Shape::kThreads) parts.load(sums + i, step, 0, num_splits);
    float4 sum{};
    parts.add(sum, shares + row, Shape::kRows, 0, num_splits);
    for (int first = PartQuads::kCount; first < num_splits; first += PartQuads::kCount) {
      parts.load(sums + i, step, first, num_splits);
      parts.add(sum, shares + row, Shape::kRows, first, num_splits);
    }
    store_quad(a, row_offset(a, seq, kv_head, row, a.y_stride) + 4 * quad, sum, 1.0F);
  }
}

}  // namespace lmdeploy::ops::cuda
