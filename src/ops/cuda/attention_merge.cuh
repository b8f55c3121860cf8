#pragma once
// How the decode kernel's sums come together: those of a CTA's warps in shared memory, then those of a
// sequence's splits. Splits write their parts to global memory and take a ticket; whoever takes the last one
// adds all parts up, in an order that does not depend on who that is. All of this happens while nearly all of
// the card is idle, so what counts is how often it waits for memory.
#include "ops/cuda/attention_slabs.cuh"

namespace lmdeploy::ops::cuda {

// What the warps of a CTA have, in shared memory where the stages were.
template <class Shape>
struct WarpSums {
  static constexpr int kFloats = Shape::kRows * Shape::kSumStride;  // of a warp

  float* sums;          // [num_warps][kRows][kSumStride]
  float2* row_weights;  // [num_warps][kRows]: largest score, sum of weights
  float* shares;        // [num_splits][kRows], of merge_splits()

  explicit __device__ WarpSums(char* shared)
      : sums(reinterpret_cast<float*>(shared)),
        row_weights(reinterpret_cast<float2*>(sums + num_warps() * kFloats)),
        shares(reinterpret_cast<float*>(row_weights + num_warps() * Shape::kRows)) {}

  __device__ float4* quad(int warp, int row, int quad) const {
    return reinterpret_cast<float4*>(sums + warp * kFloats + row * Shape::kSumStride) + quad;
  }
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
  for (int i = static_cast<int>(threadIdx.x); i < num_rows * kQuads; i += static_cast<int>(blockDim.x)) {
    const int row = i / kQuads, quad = i % kQuads;
    float max = -INFINITY, weight = 0;
    float4 sum{};
#pragma unroll
    for (int w = 0; w < Shape::kMostWarps; w++)
      if (w < num_warps()) max = fmaxf(max, from.row_weights[w * Shape::kRows + row].x);
    const float base = max == -INFINITY ? 0.0F : max;
#pragma unroll
    for (int w = 0; w < Shape::kMostWarps; w++) {
      if (w >= num_warps()) break;
      const float2 row_weight = from.row_weights[w * Shape::kRows + row];
      const float share = fast_exp2(row_weight.x - base);
      weight = fmaf(row_weight.y, share, weight);
      add_scaled(sum, *from.quad(w, row, quad), share);
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

// The number of tickets taken before, from 0 to last. Releases what the CTA wrote ahead of a barrier, and
// acquires what those wrote who took the other tickets (PTX ISA, "Memory Consistency Model": both reach
// beyond this thread, as a barrier orders it with the others).
__device__ inline unsigned take_ticket(std::uint32_t* tickets, unsigned last) {
  unsigned before;
  asm volatile("atom.acq_rel.gpu.inc.u32 %0, [%1], %2;" : "=r"(before) : "l"(tickets), "r"(last) : "memory");
  return before;
}

// Whether the parts of all splits are written, as all threads of the CTA then can see. The ticket is 0 again
// after the last of them.
__device__ inline bool is_last_split(const AttentionArguments& a, const Sequence& seq, int kv_head,
                                     int num_splits) {
  __shared__ bool is_last;
  __syncthreads();  // the CTA's own part is written
  if (threadIdx.x == 0) {
    const auto last = static_cast<unsigned>(num_splits - 1);
    is_last = take_ticket(a.tickets + seq.idx * a.cache.num_kv_heads + kv_head, last) == last;
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
  for (int row = warp_idx(); row < num_rows; row += num_warps()) {
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

// Quads of a warp's parts, every num_warps()-th: of a lane kQuads at a time, 32 apart in a part, and kParts
// parts, for which there are registers.
template <class Shape>
struct PartQuads {
  static constexpr int kQuads = 4, kRegisters = 65536 / (2 * Shape::kMostThreads), kOthers = 64,
                       kFitting = (kRegisters - kOthers) / (4 * kQuads),
                       kParts = kFitting < 10 ? kFitting : 10;
  float4 quads[kParts][kQuads];

  // from: the lane's first quad of split 0; step: quads between splits; num_quads: of a part, from `from` on.
  __device__ void load(const float4* from, std::int64_t step, int num_quads, int first, int num_splits) {
#pragma unroll
    for (int p = 0; p < kParts; p++) {
      const int split = first + p * num_warps();
      if (split >= num_splits) break;
#pragma unroll
      for (int i = 0; i < kQuads; i++)
        if (kWarpLen * i < num_quads) quads[p][i] = __ldcg(from + split * step + kWarpLen * i);
    }
  }
  // rows: of the lane's quads.
  __device__ void add(float4 (&sums)[kQuads], const float* shares, const int (&rows)[kQuads], int num_quads,
                      int first, int num_splits) const {
#pragma unroll
    for (int p = 0; p < kParts; p++) {
      const int split = first + p * num_warps();
      if (split >= num_splits) break;
#pragma unroll
      for (int i = 0; i < kQuads; i++)
        if (kWarpLen * i < num_quads)
          add_scaled(sums[i], quads[p][i], shares[split * Shape::kRows + rows[i]]);
    }
  }
};

// The sums of this warp's parts, each multiplied by its share, to where its own sums were. Its first parts
// come while the CTA finds the shares.
template <class Shape>
__device__ void add_parts(const AttentionArguments& a, const Sequence& seq, int kv_head, int num_splits,
                          int num_rows, const WarpSums<Shape>& to) {
  using Parts = PartQuads<Shape>;
  constexpr int kQuads = Shape::Kv::kHeadDim / 4;  // of a row
  const std::int64_t step = std::int64_t{a.max_decode_rows} * kQuads;
  const auto* parts = reinterpret_cast<const float4*>(a.part_sums) + part_row(a, seq, kv_head, 0, 0) * kQuads;
  Parts batch;
  batch.load(parts + lane_idx(), step, num_rows * kQuads - lane_idx(), warp_idx(), num_splits);
  find_shares<Shape>(a, seq, kv_head, num_splits, num_rows, to.shares);
  __syncthreads();
  for (int quad = lane_idx(); quad < num_rows * kQuads; quad += kWarpLen * Parts::kQuads) {
    const int num_quads = num_rows * kQuads - quad;
    float4 sums[Parts::kQuads] = {};
    int rows[Parts::kQuads];
#pragma unroll
    for (int i = 0; i < Parts::kQuads; i++) rows[i] = (quad + kWarpLen * i) / kQuads;
    for (int first = warp_idx(); first < num_splits; first += Parts::kParts * num_warps()) {
      if (quad != lane_idx() || first != warp_idx())
        batch.load(parts + quad, step, num_quads, first, num_splits);
      batch.add(sums, to.shares, rows, num_quads, first, num_splits);
    }
#pragma unroll
    for (int i = 0; i < Parts::kQuads; i++)
      if (kWarpLen * i < num_quads) *to.quad(warp_idx(), rows[i], (quad + kWarpLen * i) % kQuads) = sums[i];
  }
}

// The result of a sequence and kv head from the parts of all splits, by a whole CTA.
template <class Shape>
__device__ void merge_splits(const AttentionArguments& a, const Sequence& seq, int kv_head, int num_splits,
                             int num_rows, const WarpSums<Shape>& sums) {
  constexpr int kQuads = Shape::Kv::kHeadDim / 4;
  add_parts(a, seq, kv_head, num_splits, num_rows, sums);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < num_rows * kQuads; i += static_cast<int>(blockDim.x)) {
    const int row = i / kQuads, quad = i % kQuads;
    float4 sum{};
#pragma unroll
    for (int w = 0; w < Shape::kMostWarps; w++)
      if (w < num_warps()) add_scaled(sum, *sums.quad(w, row, quad), 1.0F);
    store_quad(a, row_offset(a, seq, kv_head, row, a.y_stride) + 4 * quad, sum, 1.0F);
  }
}

}  // namespace lmdeploy::ops::cuda
