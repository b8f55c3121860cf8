#include "ops/cpu/attention_tiles.h"

#include <algorithm>

#include "ops/cpu/kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

// Rows (queries x heads of a group) that share one pass over the keys: enough to make reading them cheap, few
// enough that scores, weights and sums stay in the caches.
constexpr std::int64_t kMaxTileRows = 48;
// With up to so many rows per kv head, reading the keys is the work, and that is fastest in the order in
// which they lie: all kv heads of a token block, then the next block.
constexpr std::int64_t kFewRows = 12;

// How many kv heads a task with few rows takes: all, unless there would be too few tasks.
std::int64_t heads_per_tile(const AttentionBatch& batch, std::int64_t num_kv_heads, int num_threads) {
  std::int64_t num_parts = 1;
  for (const std::int32_t len : batch.context_lens.host) num_parts += len / kSplitLen;
  const std::int64_t num_ranges = divide_up(std::int64_t{2} * num_threads, num_parts);
  return divide_up(num_kv_heads, std::min(num_ranges, num_kv_heads));
}

void set_range(Tile& tile, std::int64_t window) {
  if (window > 0 && tile.first_position + 1 > window)
    tile.first_token = (tile.first_position + 1 - window) / kTokenBlock * kTokenBlock;
  tile.first_split = tile.first_token / kSplitLen;
  tile.end_split = divide_up(tile.end_token(), kSplitLen);
}

}  // namespace

std::vector<Tile> plan_tiles(const AttentionBatch& batch, std::int64_t num_kv_heads, std::int64_t group,
                             int num_threads) {
  const std::int64_t max_queries = std::max<std::int64_t>(1, kMaxTileRows / group);
  const std::int64_t few_rows_heads = heads_per_tile(batch, num_kv_heads, num_threads);
  std::vector<Tile> tiles;
  for (std::size_t s = 0; s < batch.context_lens.size(); s++) {
    const std::int64_t count = batch.query_starts[s + 1] - batch.query_starts[s];
    const std::int64_t heads = count * group <= kFewRows ? few_rows_heads : 1;
    // Last queries first: they see the most, and the longest tasks should not come last.
    for (std::int64_t i = (count - 1) / max_queries * max_queries; count > 0 && i >= 0; i -= max_queries)
      for (std::int64_t head = 0; head < num_kv_heads; head += heads) {
        Tile tile;
        tile.seq_idx = static_cast<std::int64_t>(s);
        tile.first_kv_head = head;
        tile.num_kv_heads = std::min(heads, num_kv_heads - head);
        tile.first_row = batch.query_starts[s] + i;
        tile.num_queries = std::min(max_queries, count - i);
        tile.first_position = batch.context_lens[s] - count + i;
        set_range(tile, batch.sliding_window);
        tiles.push_back(tile);
      }
  }
  return tiles;
}

}  // namespace lmdeploy::ops::cpu
