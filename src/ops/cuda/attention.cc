#include <algorithm>
#include <limits>

#include "ops/cuda/attention_hopper_kernel.h"
#include "ops/cuda/attention_kernel.h"
#include "ops/cuda/attention_pages.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/deterministic.h"
#include "ops/cuda/kv_layer_blocks.h"
#include "ops/cuda/launch.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::int64_t kPageLen = 64;

AttentionArguments arguments_of(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch,
                                const View& y) {
  AttentionArguments a{};
  a.cache = blocks_of(cache, "attention");
  a.q = q.as<float>();
  a.q_stride = q.row_stride;
  a.y = y.data;
  a.y_stride = y.row_stride;
  a.y_type = y.dtype;
  a.y_in_pairs =
      reinterpret_cast<std::uintptr_t>(y.data) % (2 * dtype_bytes(y.dtype)) == 0 && y.row_stride % 2 == 0;
  a.group = static_cast<std::int32_t>(q.dim(1)) / cache.layout.num_kv_heads;
  a.scale = batch.scale;
  a.window = batch.sliding_window;
  a.query_starts = on_device(ctx, batch.query_starts);
  a.context_lens = on_device(ctx, batch.context_lens);
  a.block_tables = on_device(ctx, batch.block_tables);
  a.num_rows = q.dim(0);
  a.num_seqs = static_cast<std::int32_t>(batch.context_lens.size());
  a.max_blocks = batch.max_blocks;
  return a;
}

// Which kernels the sequences of a batch ask for.
struct Kinds {
  std::int32_t max_decode_rows = 0;  // as AttentionArguments has it
  bool prefill = false;
};
Kinds kinds_of(const AttentionBatch& batch, std::int32_t group) {
  Kinds kinds;
  for (std::size_t s = 0; s < batch.context_lens.size(); s++) {
    const std::int64_t num_rows = (std::int64_t{batch.query_starts[s + 1]} - batch.query_starts[s]) * group;
    if (num_rows > kMaxDecodeRows)
      kinds.prefill = true;
    else if (num_rows > 0)
      kinds.max_decode_rows = std::max(kinds.max_decode_rows, decode_rows(num_rows));
  }
  return kinds;
}

// Splits so that the CTAs come in few full waves. A CTA's time is that of its pages and of what else it does,
// counted in pages; parts cost something too, as they are written and read again.
std::int32_t choose_num_splits(const AttentionArguments& a, std::int64_t num_slots,
                               std::int64_t pages_at_once) {
  constexpr std::int64_t kPagesOfStart = 2, kPagesOfMerge = 1, kPartsOfPage = 32, kMaxWaves = 8;
  std::int64_t num_pages = a.max_blocks * std::int64_t{a.cache.block_len} / kPageLen;
  if (a.window > 0) num_pages = std::min(num_pages, a.window / kPageLen + 2);
  const std::int64_t num_units = std::int64_t{a.num_seqs} * a.cache.num_kv_heads;
  if (num_units > kNumTickets) return 1;
  std::int64_t best = 1, best_cost = std::numeric_limits<std::int64_t>::max();
  const std::int64_t max_splits =
      std::min({num_pages, std::int64_t{kMaxSplits}, kMaxWaves * num_slots / num_units});
  for (std::int64_t n = 1; n == 1 || n <= max_splits; n++) {
    const std::int64_t num_waves = (num_units * n + num_slots - 1) / num_slots,
                       cost = num_waves * (std::max((num_pages + n - 1) / n, pages_at_once) + kPagesOfStart) +
                              (n > 1 ? kPagesOfMerge + n / kPartsOfPage : 0);
    if (cost < best_cost) best = n, best_cost = cost;
  }
  return static_cast<std::int32_t>(best);
}

std::int64_t num_multiprocessors() {
  int device = 0, count = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  CUDA_CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

void decode(Ctx& ctx, AttentionArguments& a) {
  DecodeCapacity capacity;
  CUDA_CHECK(find_decode_capacity(a, capacity));
  a.num_splits =
      choose_num_splits(a, num_multiprocessors() * std::max(capacity.num_ctas, 1), capacity.num_pages);
  if (a.num_splits > 1) {
    CHECK(ctx.tickets != nullptr, "attention: a Ctx of a card without tickets");
    a.tickets = ctx.tickets;
    const std::int64_t num_rows =
        std::int64_t{a.num_seqs} * a.cache.num_kv_heads * a.num_splits * a.max_decode_rows;
    a.part_sums = ctx.workspace->take(DType::f32, {num_rows, a.cache.head_dim}).as<float>();
    a.part_weights = reinterpret_cast<float2*>(ctx.workspace->take(DType::f32, {num_rows, 2}).as<float>());
  }
  CUDA_CHECK(launch_decode_attention(a, stream_of(ctx)));
}

void prefill(Ctx& ctx, const KvLayer& cache, AttentionArguments& a) {
  a.num_multiprocessors = static_cast<std::int32_t>(num_multiprocessors());
  if (has_hopper_attention(a.cache))
    CUDA_CHECK(launch_hopper_attention(a, describe_pages(cache), stream_of(ctx)));
  else
    CUDA_CHECK(launch_prefill_attention(a, stream_of(ctx)));
}

}  // namespace

void attention(Ctx& ctx, const View& q, const KvLayer& cache, const AttentionBatch& batch, const View& y) {
  CHECK(batch.scale > 0, "attention: scale {}, expected a positive one", batch.scale);
  const Workspace::Scope scope(*ctx.workspace);
  AttentionArguments a = arguments_of(ctx, q, cache, batch, y);
  if (!has_fast_attention(a.cache)) {
    CUDA_CHECK(launch_generic_attention(a, stream_of(ctx)));
    return;
  }
  if (ctx.deterministic) return deterministic_attention(ctx, a, batch);
  const Kinds kinds = kinds_of(batch, a.group);
  a.max_decode_rows = kinds.max_decode_rows;
  if (kinds.prefill) prefill(ctx, cache, a);
  if (kinds.max_decode_rows > 0) decode(ctx, a);
}

void store_and_attend(Ctx& ctx, const ProjectedRows& rows, const KvLayer& cache, const AttentionBatch& batch,
                      const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  AttentionArguments a = arguments_of(ctx, rows.q, cache, batch, y);
  if (ctx.deterministic || !has_fast_attention(a.cache) || a.group > kMaxDecodeRows) {
    cuda::rope_and_store(ctx, rows.q, rows.k, rows.v, rows.table, rows.slots, cache);
    return cuda::attention(ctx, rows.q, cache, batch, y);
  }
  a.new_tokens = {rows.k.as<float>(), rows.v.as<float>(), rows.table.as<float>(),
                  rows.k.row_stride,  rows.v.row_stride,  rows.table.row_stride};
  a.max_decode_rows = decode_rows(a.group);
  decode(ctx, a);
}

}  // namespace lmdeploy::ops::cuda
