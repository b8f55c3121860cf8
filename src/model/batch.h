#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace lmdeploy {

// What one forward pass computes: the new tokens of several sequences, flattened. The model does not know why
// they are together; integers only, owned by the caller for the length of the call.
struct Batch {
  std::span<const std::int32_t> token_ids;  // [num_tokens]; below 0: drawn[~id]
  std::span<const std::int32_t> positions;  // [num_tokens], from 0 in each sequence
  std::span<const std::int32_t>
      query_starts;  // [num_seqs + 1], first token of each sequence; the last is num_tokens
  std::span<const std::int32_t> context_lens;  // [num_seqs], tokens in the cache after this step
  std::span<const std::int32_t> block_tables;  // [num_seqs, max_blocks], unused entries are ignored
  std::int32_t max_blocks = 0;
  std::span<const std::int32_t> logits_rows;  // tokens whose logits are wanted, ascending
  View drawn =
      {};  // i32, in the device's memory: tokens that the host does not know yet; empty: none is used
};

}  // namespace lmdeploy
