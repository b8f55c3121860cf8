#pragma once
// How the queries of a step are divided into pieces that pass over the cache by themselves.
#include <cstdint>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy::ops::cpu {

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Consecutive queries of one sequence and consecutive kv heads, with what they see in splits.
struct Tile {
  std::int64_t seq_idx = 0;
  std::int64_t first_kv_head = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t first_row = 0;  // of q
  std::int64_t num_queries = 0;
  std::int64_t first_position = 0;  // of the first query
  std::int64_t first_token = 0;     // that any query sees, rounded down to a token block
  std::int64_t first_split = 0;
  std::int64_t end_split = 0;

  std::int64_t end_token() const { return first_position + num_queries; }
  std::int64_t num_splits() const { return end_split - first_split; }
};

// group: query heads per kv head.
std::vector<Tile> plan_tiles(const AttentionBatch& batch, std::int64_t num_kv_heads, std::int64_t group,
                             int num_threads);

}  // namespace lmdeploy::ops::cpu
