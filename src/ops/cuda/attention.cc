#include <algorithm>

#include "ops/cuda/attention_hopper_kernel.h"
#include "ops/cuda/attention_kernel.h"
#include "ops/cuda/attention_pages.h"
#include "ops/cuda/attention_plan.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/deterministic.h"
#include "ops/cuda/kv_layer_blocks.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/linear_inputs.h"

namespace lmdeploy::ops::cuda {
namespace {

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

// Into CTAs that have at most max_blocks blocks of a sequence to see.
DecodePlan plan_of(const AttentionArguments& a) {
  const CardLimits card = card_limits();
  DecodeWidth widths[2] = {};
  CUDA_CHECK(find_decode_widths(a, card.max_shared_bytes, widths));
  DecodeWork work{};
  work.num_units = std::int64_t{a.num_seqs} * a.cache.num_kv_heads;
  work.num_pages = a.max_blocks * std::int64_t{a.cache.block_len} / kPageLen;
  if (a.window > 0) work.num_pages = std::min<std::int64_t>(work.num_pages, a.window / kPageLen + 2);
  work.page_bytes = 2 * a.cache.half_bytes;
  work.num_multiprocessors = card.num_multiprocessors;
  work.max_splits = work.num_units <= kNumTickets ? kMaxSplits : 1;
  return plan_decode(work, widths);
}

void decode(Ctx& ctx, AttentionArguments& a) {
  const DecodePlan plan = plan_of(a);
  a.num_splits = plan.num_splits;
  a.num_warps = plan.num_warps;
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
  a.num_multiprocessors = card_limits().num_multiprocessors;
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
