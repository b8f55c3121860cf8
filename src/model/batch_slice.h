#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "model/batch.h"
#include "ops/ops.h"

namespace lmdeploy {

// Which sequences the rows of a step belong to and where their keys and values lie, as ops::attention wants
// it.
struct AttentionRows {
  std::vector<std::int32_t> query_starts;  // [num_seqs + 1]
  std::vector<std::int32_t> context_lens;  // [num_seqs]
  std::vector<std::int32_t> block_tables;  // [num_seqs, max_blocks]
  std::int32_t max_blocks = 0;

  ops::AttentionBatch batch(float scale) const;  // borrows; without a sliding window
};

// Some consecutive tokens of a Batch, as a step of its own: a sequence that goes on behind the slice has the
// shorter context that it has at this point. Computing the slices one after another gives what the whole
// gives.
struct BatchSlice {
  std::span<const std::int32_t> token_ids;  // [num_tokens]; below 0: drawn[~id]
  View drawn;
  std::span<const std::int32_t> positions;  // [num_tokens]
  std::vector<std::int32_t> slots;          // [num_tokens], where the cache keeps the token
  AttentionRows rows;
  std::vector<std::int32_t> logits_rows;  // counted from the slice's first token
  std::int64_t first_logit = 0;           // index of the first of them among the batch's logits_rows

  std::int64_t num_tokens() const noexcept { return static_cast<std::int64_t>(token_ids.size()); }
};

// Tokens [begin, end) of the batch.
BatchSlice slice_batch(const Batch& batch, std::int64_t begin, std::int64_t end, std::int32_t block_len);

// Each token of slice.logits_rows as a sequence with one query: what is left to compute when only the logits
// are missing.
AttentionRows logits_queries(const BatchSlice& slice);

// CHECKs that the parts of a batch fit together; they come from the scheduler, not from a user.
void check_batch(const Batch& batch);

}  // namespace lmdeploy
