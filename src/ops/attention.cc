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

void check_attention(const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  check_layer(cache, "attention");
  ShapeMatcher match("attention");
  match.bind("cache", 'd', cache.layout.head_dim);
  match("q", q, "mhd", {DType::f32});
  CHECK(match['h'] % cache.layout.num_kv_heads == 0, "attention: {} heads over {} kv heads", match['h'],
        cache.layout.num_kv_heads);
  match.bind("q", 'e', match['h'] * match['d']);
  match("y", y, "me", {DType::f32, DType::bf16, DType::f16});
  check_batch(batch, cache, match['m']);
}

// Every sequence's one query is its last token, and is stored where the sequence's blocks have it.
void check_new_tokens(const ProjectedRows& rows, const KvLayer& cache, const AttentionBatch& batch) {
  ShapeMatcher match("store_and_attend");
  match.bind("context_lens", 'm', static_cast<std::int64_t>(batch.context_lens.size()));
  match.bind("slots", 'm', static_cast<std::int64_t>(rows.slots.size()));
  match.bind("cache", 'g', cache.layout.num_kv_heads);
  match.bind("cache", 'd', cache.layout.head_dim);
  match("q", rows.q, "mhd", {DType::f32});
  match("k", rows.k, "mgd", {DType::f32});
  match("v", rows.v, "mgd", {DType::f32});
  match("table", rows.table, "md", {DType::f32});
  for (std::size_t s = 0; s < rows.slots.size(); s++) {
    CHECK(batch.query_starts[s] == static_cast<std::int32_t>(s), "store_and_attend: sequence {} starts at {}",
          s, batch.query_starts[s]);
    const std::int32_t last = batch.context_lens[s] - 1, block_len = cache.layout.block_len;
    const std::size_t at =
        s * static_cast<std::size_t>(batch.max_blocks) + static_cast<std::size_t>(last / block_len);
    CHECK(rows.slots[s] == batch.block_tables[at] * block_len + last % block_len,
          "store_and_attend: token {} of sequence {} at slot {}", last, s, rows.slots[s]);
  }
}

}  // namespace

void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  check_device(ctx, "attention");
  check_attention(q, cache, batch, y);
  if (q.dim(0) == 0) return;
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::attention(ctx, q, cache, batch, y);
  cpu::attention(ctx, q, cache, batch, y);
}

void store_and_attend(Ctx& ctx, const ProjectedRows& rows, const KvLayer& cache, const AttentionBatch& batch,
                      const View& y) {
  check_device(ctx, "store_and_attend");
  check_attention(rows.q, cache, batch, y);
  check_new_tokens(rows, cache, batch);
  if (rows.q.dim(0) == 0) return;
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::store_and_attend(ctx, rows, cache, batch, y);
  cpu::rope(ctx, rows.q, rows.table);
  cpu::rope(ctx, rows.k, rows.table);
  cpu::store_kv(ctx, rows.k, rows.v, rows.slots.host, cache);
  cpu::attention(ctx, rows.q, cache, batch, y);
}

}  // namespace lmdeploy::ops
