#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

namespace {

void check_batch(const AttentionBatch& batch, const KvLayer& cache, std::int64_t num_rows) {
  const std::size_t num_seqs = batch.context_lens.size();
  CHECK(batch.query_starts.size() == num_seqs + 1 && batch.query_starts.host.front() == 0 &&
            batch.query_starts.host.back() == num_rows,
        "attention: query_starts do not cover {} rows of {} sequences", num_rows, num_seqs);
  CHECK(batch.block_tables.size() == num_seqs * static_cast<std::size_t>(batch.max_blocks),
        "attention: block_tables has {} entries", batch.block_tables.size());
  CHECK(batch.sliding_window >= 0, "attention: sliding_window {}", batch.sliding_window);
  for (std::size_t s = 0; s < num_seqs; s++) {
    const std::int64_t num_queries = batch.query_starts[s + 1] - batch.query_starts[s];
    const std::int64_t context_len = batch.context_lens[s];
    const std::int64_t num_blocks = (context_len + cache.layout.block_len - 1) / cache.layout.block_len;
    CHECK(num_queries >= 0 && num_queries <= context_len && num_blocks <= batch.max_blocks,
          "attention: sequence {} has {} queries, context {}, {} blocks at most", s, num_queries, context_len,
          batch.max_blocks);
    for (std::int64_t b = 0; b < num_blocks; b++) {
      const std::int32_t block =
          batch.block_tables[s * static_cast<std::size_t>(batch.max_blocks) + static_cast<std::size_t>(b)];
      CHECK(block >= 0 && block < cache.num_blocks, "attention: block {} of {}", block, cache.num_blocks);
    }
  }
}

}  // namespace

void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  check_device(ctx, "attention");
  check_layer(cache, "attention");
  ShapeMatcher match("attention");
  match.bind("cache", 'd', cache.layout.head_dim);
  match("q", q, "mhd", {DType::f32});
  CHECK(match['h'] % cache.layout.num_kv_heads == 0, "attention: {} heads over {} kv heads", match['h'],
        cache.layout.num_kv_heads);
  match.bind("q", 'e', match['h'] * match['d']);
  match("y", y, "me", {DType::f32, DType::bf16, DType::f16});
  check_batch(batch, cache, match['m']);
  if (match['m'] == 0) return;
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::attention(ctx, q, cache, batch, y);
  cpu::attention(ctx, q, cache, batch, y);
}

}  // namespace lmdeploy::ops
