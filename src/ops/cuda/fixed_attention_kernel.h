#pragma once
// Attention whose order of summation depends on nothing but a query's position: the context is cut into
// splits of kFixedSplitLen tokens counted from its first one, each is computed by the prefill kernel's steps,
// and a second kernel adds up the splits that a row sees, in their order. One way for prompts and for single
// tokens. Rows as in attention_rows.cuh, kFixedRows of a sequence to a block.
#include "ops/cuda/attention_kernel.h"

namespace lmdeploy::ops::cuda {

inline constexpr int kFixedSplitLen = 512;
inline constexpr int kFixedRows = 64;

struct FixedAttention {
  AttentionArguments a;  // without decode rows and splits
  // Block i holds the rows of sequence first_seq + i, if they are at most rows_per_block; or, of one long
  // sequence, the kFixedRows rows from (first_block + i) * kFixedRows on.
  std::int32_t first_seq;
  std::int32_t first_block;
  bool is_one_sequence;
  std::int32_t rows_per_block;  // at most kFixedRows
  std::int32_t num_blocks;
  std::int32_t num_splits;  // of max_blocks
  // Scratch: each split's result [num_blocks, num_kv_heads, num_splits, rows_per_block, head_dim], and the
  // largest score and the sum of weights that it comes from.
  float* values;
  float2* weights;
};

// For caches that has_fast_attention().
cudaError_t launch_fixed_attention(const FixedAttention& arguments, cudaStream_t stream);

}  // namespace lmdeploy::ops::cuda
