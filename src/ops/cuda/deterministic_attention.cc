#include <algorithm>

#include "ops/cuda/deterministic.h"
#include "ops/cuda/fixed_attention_kernel.h"
#include "ops/cuda/launch.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::int64_t kMaxScratchBytes = std::int64_t{128} << 20;

std::int64_t bytes_of_block(const FixedAttention& f) {
  const auto& cache = f.a.cache;
  return std::int64_t{cache.num_kv_heads} * f.num_splits * f.rows_per_block * (cache.head_dim + 2) * 4;
}

// `count` blocks, as many at a time as the scratch holds. move(f, i) makes block i the first.
template <class Move>
void attend_blocks(Ctx& ctx, FixedAttention f, std::int64_t count, const Move& move) {
  const std::int64_t at_once = std::clamp<std::int64_t>(kMaxScratchBytes / bytes_of_block(f), 1, count);
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t num_rows = at_once * f.a.cache.num_kv_heads * f.num_splits * f.rows_per_block;
  f.values = ctx.workspace->take(DType::f32, {num_rows, f.a.cache.head_dim}).as<float>();
  f.weights = reinterpret_cast<float2*>(ctx.workspace->take(DType::f32, {num_rows, 2}).as<float>());
  for (std::int64_t i = 0; i < count; i += at_once) {
    f.num_blocks = static_cast<std::int32_t>(std::min(at_once, count - i));
    move(f, static_cast<std::int32_t>(i));
    CUDA_CHECK(launch_fixed_attention(f, stream_of(ctx)));
  }
}

}  // namespace

void deterministic_attention(Ctx& ctx, const AttentionArguments& a, const AttentionBatch& batch) {
  FixedAttention f{};
  f.a = a;
  f.num_splits = std::max(1, (a.max_blocks * a.cache.block_len + kFixedSplitLen - 1) / kFixedSplitLen);
  const auto rows_of = [&](std::int32_t s) {
    return (batch.query_starts[static_cast<std::size_t>(s) + 1] -
            batch.query_starts[static_cast<std::size_t>(s)]) *
           a.group;
  };
  for (std::int32_t s = 0; s < a.num_seqs; s++)
    if (const std::int32_t num_rows = rows_of(s); num_rows <= kFixedRows)
      f.rows_per_block = std::max(f.rows_per_block, num_rows);
  if (f.rows_per_block > 0)
    attend_blocks(ctx, f, a.num_seqs, [](FixedAttention& part, std::int32_t i) { part.first_seq = i; });

  f.is_one_sequence = true;
  f.rows_per_block = kFixedRows;
  for (f.first_seq = 0; f.first_seq < a.num_seqs; f.first_seq++)
    if (const std::int32_t num_rows = rows_of(f.first_seq); num_rows > kFixedRows)
      attend_blocks(ctx, f, (num_rows + kFixedRows - 1) / kFixedRows,
                    [](FixedAttention& part, std::int32_t i) { part.first_block = i; });
}

}  // namespace lmdeploy::ops::cuda
