#pragma once
// What the attention kernels have in common: which rows a sequence has, what they see, how queries come in
// and results go out. Row r of a sequence and a kv head is query r / group in head r % group of that kv
// head's group.
#include "ops/cuda/attention_kernel.h"
#include "ops/cuda/head_row.cuh"
#include "ops/cuda/kv_block.cuh"
#include "ops/cuda/warp_mma.cuh"

namespace lmdeploy::ops::cuda {

// What a CTA may have on every card since Ampere.
inline constexpr int kMaxSharedBytes = 99 << 10;

enum class KvKind { bf16, f16, int8, int4 };

// With codes, queries are fp16 and weights bf16 whatever the cache's dtype: a query's size is brought near 1
// first, but a weight is multiplied by the scale of its token's values, which may be any.
template <KvKind kKind, int kHeadDimIn>
struct KvTraits {
  static constexpr int kHeadDim = kHeadDimIn;
  static constexpr bool kQuantized = kKind == KvKind::int8 || kKind == KvKind::int4;
  static constexpr int kBits = kKind == KvKind::int4 ? 4 : kKind == KvKind::int8 ? 8 : 16;
  static constexpr bool kRotated = kKind == KvKind::int4;
  static constexpr int kRowBytes = kHeadDim * kBits / 8;
  static constexpr int kChunks = kRowBytes / 16;
  static constexpr float kCenter = kBits == 8 ? 128 : 8;  // of codes
  using Query = std::conditional_t<kKind == KvKind::bf16, __nv_bfloat16, __half>;
  using Weight = std::conditional_t<kKind == KvKind::f16, __half, __nv_bfloat16>;
  static_assert(kRowBytes % 16 == 0 && kHeadDim % kWarpLen == 0);
};

// Calls f with a KvTraits for the cache, if it is one of the fast ones.
template <class F>
bool with_traits(const KvBlocks& cache, const F& f) {
  const auto with_kind = [&]<int kHeadDim>(std::integral_constant<int, kHeadDim>) {
    if (cache.quant_bits == 8)
      f(KvTraits<KvKind::int8, kHeadDim>{});
    else if (cache.quant_bits == 4)
      f(KvTraits<KvKind::int4, kHeadDim>{});
    else if (cache.dtype == DType::bf16)
      f(KvTraits<KvKind::bf16, kHeadDim>{});
    else
      f(KvTraits<KvKind::f16, kHeadDim>{});
    return true;
  };
  if (cache.dtype == DType::f32) return false;
  if (cache.head_dim == 64) return with_kind(std::integral_constant<int, 64>{});
  if (cache.head_dim == 96) return with_kind(std::integral_constant<int, 96>{});
  if (cache.head_dim == 128) return with_kind(std::integral_constant<int, 128>{});
  if (cache.head_dim == 256) return with_kind(std::integral_constant<int, 256>{});
  return false;
}

struct Sequence {
  int idx;
  int first_row;  // of q
  int num_queries;
  int context_len;
  const std::int32_t* block_table;

  __device__ int first_position() const { return context_len - num_queries; }
};

__device__ inline Sequence sequence_at(const AttentionArguments& a, int idx) {
  const int first_row = a.query_starts[idx];
  return {idx, first_row, a.query_starts[idx + 1] - first_row, a.context_lens[idx],
          a.block_tables + static_cast<std::int64_t>(idx) * a.max_blocks};
}

// The keys of the page that holds a token of the sequence.
__device__ inline const char* page_of_token(const AttentionArguments& a, const Sequence& seq, int token,
                                            int kv_head) {
  const TokenPlace place = place_of(a.cache, token);
  return page_of(a.cache, seq.block_table[place.block_idx], place.offset, kv_head);
}

// The first token that a query at this position sees.
__device__ inline int first_visible(const AttentionArguments& a, int position) {
  return a.window > 0 ? max(0, position + 1 - a.window) : 0;
}
__device__ inline bool is_visible(const AttentionArguments& a, int token, int position) {
  return token <= position && (a.window == 0 || token > position - a.window);
}

// Offset of a row's head in a matrix of rows of [num_heads, head_dim].
__device__ inline std::int64_t row_offset(const AttentionArguments& a, const Sequence& seq, int kv_head,
                                          int row, std::int64_t stride) {
  return (seq.first_row + row / a.group) * stride +
         static_cast<std::int64_t>(kv_head * a.group + row % a.group) * a.cache.head_dim;
}

// What a row's products with keys are multiplied by to become the scores of an exp2, and the sum of the row's
// elements, which the offset of a quantised key is multiplied by.
struct QueryRow {
  float factor;
  float sum;
  int position;
};

// Rows of queries in the registers of a warp: kBatch of them, first_row + i * step.
template <class Kv, int kBatch>
using QueryRows = float[kBatch][Kv::kHeadDim / kWarpLen];

// Queries as 16-bit floats, brought near 1 by a power of two; rotated where the keys are. By a whole warp:
// put(row, c, element) and put(row, QueryRow) place what comes out.
template <class Kv, int kBatch, class Put>
__device__ void put_queries(const AttentionArguments& a, const Sequence& seq, QueryRows<Kv, kBatch>& x,
                            int first_row, int step, const Put& put) {
  constexpr int kPerLane = Kv::kHeadDim / kWarpLen;
  constexpr float kLog2E = 1.4426950408889634F;
#pragma unroll
  for (int b = 0; b < kBatch; b++) {
    const int row = first_row + b * step;
    if constexpr (Kv::kRotated) rotate_head(x[b], Kv::kHeadDim);
    float largest = 0, sum = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; i++) largest = fmaxf(largest, fabsf(x[b][i]));
    const int biased_exponent = min(max(__float_as_int(warp_max(largest)) >> 23, 1), 253);
    const float shrink = __int_as_float((254 - biased_exponent) << 23),
                grow = __int_as_float(biased_exponent << 23);
#pragma unroll
    for (int i = 0; i < kPerLane; i++) {
      const auto element = from_float<typename Kv::Query>(x[b][i] * shrink);
      sum += to_float(element);
      put(row, lane_idx() + kWarpLen * i, element);
    }
    if constexpr (Kv::kQuantized) sum = warp_sum(sum);
    if (lane_idx() == 0)
      put(row, QueryRow{a.scale * kLog2E * grow, sum, seq.first_position() + row / a.group});
  }
}

// Loads rows, all at a time so that the reads overlap, and puts them. Rows from num_rows on are 0.
template <class Kv, int kBatch, class Put>
__device__ void prepare_queries(const AttentionArguments& a, const Sequence& seq, int kv_head, int first_row,
                                int step, int num_rows, const Put& put) {
  QueryRows<Kv, kBatch> x;
#pragma unroll
  for (int b = 0; b < kBatch; b++) {
    const int row = first_row + b * step;
    const float* from = a.q + row_offset(a, seq, kv_head, row, a.q_stride);
    load_head(x[b], from, row < num_rows ? Kv::kHeadDim : 0);
  }
  put_queries<Kv, kBatch>(a, seq, x, first_row, step, put);
}

__device__ inline void store_result(void* y, DType dtype, std::int64_t at, float value) {
  if (dtype == DType::bf16)
    static_cast<__nv_bfloat16*>(y)[at] = __float2bfloat16_rn(value);
  else if (dtype == DType::f16)
    static_cast<__half*>(y)[at] = __float2half_rn(value);
  else
    static_cast<float*>(y)[at] = value;
}

// Two neighbours, `at` even.
__device__ inline void store_pair(const AttentionArguments& a, std::int64_t at, float first, float second) {
  if (!a.y_in_pairs) {
    store_result(a.y, a.y_type, at, first);
    store_result(a.y, a.y_type, at + 1, second);
  } else if (a.y_type == DType::bf16) {
    *reinterpret_cast<__nv_bfloat162*>(static_cast<__nv_bfloat16*>(a.y) + at) =
        __floats2bfloat162_rn(first, second);
  } else if (a.y_type == DType::f16) {
    *reinterpret_cast<__half2*>(static_cast<__half*>(a.y) + at) = __floats2half2_rn(first, second);
  } else {
    *reinterpret_cast<float2*>(static_cast<float*>(a.y) + at) = {first, second};
  }
}

// 1 / the sum of a row's weights; 0 for a row that saw nothing.
__device__ inline float inverse_weight(float sum) {
  return sum == 0 ? 0.0F : 1.0F / sum;
}

}  // namespace lmdeploy::ops::cuda
