#pragma once
// Attention over the paged cache, in three kernels. A sequence with few rows (queries x heads of a group) is
// divided over its tokens, and the last part to be done puts all of them together; one with many is divided
// over its rows (attention_hopper_kernel.h has a second one for these). A third kernel is right for any
// head_dim and dtype, and slow.
//
// What they do is decided by the device's copies of query_starts, context_lens and block_tables. Launches,
// their grids and scratch memory depend on the other members alone, so captured ones serve every batch that
// agrees in num_rows, num_seqs and max_blocks, as long as its sequences fall to the same kernels: on the host
// only their numbers of queries are looked at, for whether some have more rows than kMaxDecodeRows, and what
// the most of the others is, rounded up by decode_rows().
#include <cuda_runtime_api.h>

#include "ops/cuda/kv_blocks.h"

namespace lmdeploy::ops::cuda {

// The tokens of a step in which every sequence has one: rows of projections, not rotated and not stored yet.
struct NewTokens {
  const float* keys;  // rows of [num_kv_heads, head_dim]; null: the cache holds the step's tokens
  const float* values;
  const float* angles;  // rows of head_dim cosines and sines, as rope_table writes them
  std::int64_t key_stride;
  std::int64_t value_stride;
  std::int64_t angle_stride;
};

struct AttentionArguments {
  KvBlocks cache;
  const float* q;
  std::int64_t q_stride;  // elements between rows of [num_heads, head_dim]
  void* y;                // rows of [num_heads, head_dim]
  std::int64_t y_stride;
  DType y_type;
  bool y_in_pairs;     // rows of y are aligned to two elements
  std::int32_t group;  // query heads per kv head
  float scale;
  std::int32_t window;               // 0: none
  std::int32_t num_multiprocessors;  // of the card, for the prefill kernels

  const std::int32_t* query_starts;  // [num_seqs + 1]
  const std::int32_t* context_lens;  // [num_seqs]; 0 where rows only fill up a batch: they become 0
  const std::int32_t* block_tables;  // [num_seqs, max_blocks]
  std::int64_t num_rows;
  std::int32_t num_seqs;
  std::int32_t max_blocks;

  // For the decode kernel alone, which then rotates queries and keys, and stores keys and values.
  NewTokens new_tokens;
  // Sequences of up to so many rows are the decode kernel's, one of decode_rows(); 0: none.
  std::int32_t max_decode_rows;
  std::int32_t num_splits;  // of a sequence's tokens, for the decode kernel
  std::int32_t num_warps;   // of its CTAs, as a DecodeWidth has them
  // Its parts, where there is more than one split: sums of weighted values [num_seqs, num_kv_heads,
  // num_splits, max_decode_rows, head_dim] that are not divided yet, and for each row the largest score and
  // the sum of weights.
  float* part_sums;
  float2* part_weights;
  std::uint32_t* tickets;  // [num_seqs, num_kv_heads], zeros
};

inline constexpr int kMaxDecodeRows = 16;
inline constexpr int kMaxSplits = 128;

// The number of rows that the decode kernel is built for, and no less than num_rows.
inline int decode_rows(std::int64_t num_rows) {
  return num_rows <= 4 ? 4 : num_rows <= 8 ? 8 : kMaxDecodeRows;
}

// Whether there are fast kernels for the cache.
bool has_fast_attention(const KvBlocks& cache);

// A CTA of the decode kernel: a few warps, so that many sequences fill the card evenly, or, for parts that
// are few and long, as many as half a multiprocessor has room for.
struct DecodeWidth {
  int num_warps;
  int num_ctas;       // that a multiprocessor runs at a time
  int slab_len;       // tokens that a warp computes at a time
  int warp_bytes;     // that are on their way to a warp
  int parts_at_once;  // that it reads at a time when it merges
};
// Of the arguments' cache and max_decode_rows. Both may be the same. max_shared_bytes: of a CTA.
cudaError_t find_decode_widths(const AttentionArguments& arguments, std::size_t max_shared_bytes,
                               DecodeWidth (&widths)[2]);
cudaError_t launch_decode_attention(const AttentionArguments& arguments, cudaStream_t stream);
cudaError_t launch_prefill_attention(const AttentionArguments& arguments, cudaStream_t stream);
cudaError_t launch_generic_attention(const AttentionArguments& arguments, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
