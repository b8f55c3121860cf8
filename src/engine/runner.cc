#include "engine/runner.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

void Runner::run(const StepPlan& plan, std::span<const ops::SamplingRow> rows) {
  CHECK(static_cast<std::size_t>(plan.num_drawn) == rows.size(), "{} draws, {} sampling rows", plan.num_drawn,
        rows.size());
  tokens_.assign(rows.size(), -1);
  logprobs_.assign(rows.size(), 0);
  const Batch batch = make_batch(plan);
  const Workspace::Scope scope(*ctx_.workspace);
  const Shape logits_shape{plan.num_drawn, model_.info().vocab_size};
  const View logits =
      rows.empty() ? View(nullptr, DType::f32, logits_shape) : ctx_.workspace->take(DType::f32, logits_shape);
  model_.forward(ctx_, batch, pool_, logits);
  if (!rows.empty()) ops::sample(ctx_, logits, rows, tokens_, logprobs_);
}

Batch Runner::make_batch(const StepPlan& plan) {
  std::size_t max_blocks = 0;
  for (const Chunk& chunk : plan.chunks)
    max_blocks = std::max(max_blocks, chunk.sequence->block_table.size());
  token_ids_.clear();
  positions_.clear();
  query_starts_.assign(1, 0);
  context_lens_.clear();
  logits_rows_.clear();
  block_tables_.assign(plan.chunks.size() * max_blocks, -1);

  auto table_row = block_tables_.begin();
  for (const Chunk& chunk : plan.chunks) {
    const Sequence& sequence = *chunk.sequence;
    const auto first = sequence.token_ids.begin() + chunk.first;
    token_ids_.insert(token_ids_.end(), first, first + chunk.num_tokens);
    for (std::int32_t i = 0; i < chunk.num_tokens; i++) positions_.push_back(chunk.first + i);
    const auto num_tokens = static_cast<std::int32_t>(token_ids_.size());
    query_starts_.push_back(num_tokens);
    context_lens_.push_back(chunk.first + chunk.num_tokens);
    if (chunk.draws) logits_rows_.push_back(num_tokens - 1);
    std::copy(sequence.block_table.begin(), sequence.block_table.end(), table_row);
    table_row += static_cast<std::ptrdiff_t>(max_blocks);
  }
  return {token_ids_,    positions_,    query_starts_,
          context_lens_, block_tables_, static_cast<std::int32_t>(max_blocks),
          logits_rows_};
}

}  // namespace lmdeploy
