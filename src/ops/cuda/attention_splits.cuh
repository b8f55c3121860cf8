#pragma once
// How the decode kernel divides a sequence's tokens, and where the parts wait to be put together.
#include "ops/cuda/attention_rows.cuh"

namespace lmdeploy::ops::cuda {

__device__ inline bool is_for_decode(const AttentionArguments& a, const Sequence& seq) {
  return seq.num_queries > 0 && seq.num_queries * a.group <= a.max_decode_rows;
}

struct Pages {
  int begin;
  int end;
};

// The pages that some query of the sequence sees.
__device__ inline Pages visible_pages(const AttentionArguments& a, const Sequence& seq) {
  return {first_visible(a, seq.first_position()) / kPageLen, (seq.context_len + kPageLen - 1) / kPageLen};
}

// No split is without a page, but for the one of a sequence that has none.
__device__ inline int num_active_splits(const AttentionArguments& a, const Sequence& seq) {
  const Pages all = visible_pages(a, seq);
  return max(1, min(a.num_splits, all.end - all.begin));
}

// The pages of one of them. All have the same number, the first ones perhaps one more.
__device__ inline Pages split_pages(const AttentionArguments& a, const Sequence& seq, int idx) {
  const Pages all = visible_pages(a, seq);
  const auto count = static_cast<unsigned>(all.end - all.begin),
             num_splits = static_cast<unsigned>(num_active_splits(a, seq));
  const int least = static_cast<int>(count / num_splits), num_longer = static_cast<int>(count % num_splits),
            begin = all.begin + idx * least + min(idx, num_longer);
  return {begin, begin + least + (idx < num_longer ? 1 : 0)};
}

// Index of a row of a part among all of them.
__device__ inline std::int64_t part_row(const AttentionArguments& a, const Sequence& seq, int kv_head,
                                        int split, int row) {
  const std::int64_t part =
      (static_cast<std::int64_t>(seq.idx) * a.cache.num_kv_heads + kv_head) * a.num_splits + split;
  return part * a.max_decode_rows + row;
}

}  // namespace lmdeploy::ops::cuda
