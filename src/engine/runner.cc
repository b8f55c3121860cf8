#include "engine/runner.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace lmdeploy {
namespace {

// Block tables of a device with graphs are as long as a power of two, at least this: a graph is for one
// length.
constexpr std::size_t kMinGraphBlocks = 16;

}  // namespace

std::vector<TokenLogprob> top_of(const std::vector<ops::IdLogprob>& ids) {
  std::vector<TokenLogprob> top;
  top.reserve(ids.size());
  for (const auto& [id, logprob] : ids) top.push_back({id, logprob});
  return top;
}

std::int64_t graph_rows(std::int64_t num_rows) noexcept {
  const std::int64_t unit = num_rows <= 8 ? 1 : num_rows <= 128 ? 8 : num_rows <= 512 ? 32 : 128;
  return (num_rows + unit - 1) / unit * unit;
}

Runner::Runner(const Model& model, Ctx& ctx, KvPool& pool, std::int32_t max_draws)
    : model_(model), ctx_(ctx), pool_(pool), device_tokens_(*ctx.allocator, DType::i32, Shape{max_draws}) {
  for (Step& step : steps_) step.draws = ops::StepDraws::make(ctx);
}

void Runner::run(const StepPlan& plan, std::span<const Draw> draws, std::span<const PromptWork> work) {
  CHECK(num_waited_ == num_launched_, "a step is in flight");
  launch(plan, work);
  draw(draws);
  wait();
}

void Runner::launch(const StepPlan& plan, std::span<const PromptWork> work) {
  CHECK(work.empty() || work.size() == plan.chunks.size(), "{} chunks, work for {}", plan.chunks.size(),
        work.size());
  CHECK(num_launched_ - num_waited_ < std::ssize(steps_) && !logits_scope_, "{} steps are in flight",
        num_launched_ - num_waited_);
  Step& step = this->step(num_launched_);
  step.draws->begin(ctx_);
  const std::int32_t first_other = assign_rows(plan, work, step);
  const std::int64_t num_rows = std::ssize(step.rows) + num_padded(pieces_);
  logits_scope_.emplace(*ctx_.workspace);
  const Shape shape{num_rows, model_.info().vocab_size};
  logits_ = num_rows == 0 ? View(nullptr, DType::f32, shape) : ctx_.workspace->take(DType::f32, shape);
  for (const Piece& piece : scored_) run_scored(piece);
  if (!pooled_.empty()) run_pooled();
  if (!pieces_.empty())
    model_.forward(ctx_, make_batch(pieces_, std::ssize(pieces_) + num_padded(pieces_)), pool_,
                   logits_.rows(first_other, num_rows - first_other));
  num_launched_++;
}

std::vector<Runner::Piece>& Runner::group_of(const Chunk& chunk, const PromptWork& work) {
  const std::int32_t end = chunk.first + chunk.num_tokens;
  if (work.scores != nullptr && work.scores->num_wanted(end) > 0) return scored_;
  return work.pooling != nullptr ? pooled_ : pieces_;
}

// Which chunks are computed together and which row each draw has: the scored ones' come first, then the
// pooled ones', then those of the others, whose first is returned.
std::int32_t Runner::assign_rows(const StepPlan& plan, std::span<const PromptWork> work, Step& step) {
  step.rows.assign(static_cast<std::size_t>(plan.num_drawn), -1);
  std::int32_t num_rows = 0, first_other = 0;
  for (std::vector<Piece>* group : {&scored_, &pooled_, &pieces_}) {
    group->clear();
    first_other = num_rows;
    std::size_t draw_idx = 0;
    for (std::size_t i = 0; i < plan.chunks.size(); i++) {
      const Chunk& chunk = plan.chunks[i];
      const PromptWork wanted = work.empty() ? PromptWork() : work[i];
      if (&group_of(chunk, wanted) == group) {
        if (chunk.draws) step.rows.at(draw_idx) = num_rows;
        group->push_back({chunk, chunk.draws ? num_rows++ : -1, wanted});
      }
      draw_idx += chunk.draws ? 1 : 0;
    }
    CHECK(draw_idx == step.rows.size(), "{} chunks draw, {} draws", draw_idx, step.rows.size());
  }
  return first_other;
}

// Rows to add to a step that may be kept as a graph: one in which each sequence computes one token and draws.
std::int64_t Runner::num_padded(std::span<const Piece> pieces) const noexcept {
  const bool is_decode = ctx_.graphs != nullptr &&
                         std::all_of(pieces.begin(), pieces.end(),
                                     [](const auto& p) { return p.chunk.num_tokens == 1 && p.chunk.draws; });
  return is_decode ? graph_rows(std::ssize(pieces)) - std::ssize(pieces) : 0;
}

// Sequences beyond the pieces are one token long, in the block that is nobody's.
Batch Runner::make_batch(std::span<const Piece> pieces, std::int64_t num_seqs) {
  std::size_t max_blocks = 0;
  for (const Piece& piece : pieces)
    max_blocks = std::max(max_blocks, piece.chunk.sequence->block_table.size());
  if (ctx_.graphs != nullptr) max_blocks = std::bit_ceil(std::max(max_blocks, kMinGraphBlocks));
  token_ids_.clear();
  positions_.clear();
  query_starts_.assign(1, 0);
  context_lens_.clear();
  logits_rows_.clear();
  block_tables_.assign(static_cast<std::size_t>(num_seqs) * max_blocks, -1);

  auto table_row = block_tables_.begin();
  bool has_pending = false;
  for (const Piece& piece : pieces) {
    const Sequence& sequence = *piece.chunk.sequence;
    append_tokens(piece);
    has_pending = has_pending || piece.chunk.pending_draw >= 0;
    std::copy(sequence.block_table.begin(), sequence.block_table.end(), table_row);
    table_row += static_cast<std::ptrdiff_t>(max_blocks);
  }
  for (std::int64_t i = std::ssize(pieces); i < num_seqs; i++) {
    append_padding();
    *table_row = static_cast<std::int32_t>(pool_.num_blocks() - 1);
    table_row += static_cast<std::ptrdiff_t>(max_blocks);
  }
  return {token_ids_,    positions_,
          query_starts_, context_lens_,
          block_tables_, static_cast<std::int32_t>(max_blocks),
          logits_rows_,  has_pending ? device_tokens_.view() : View()};
}

// The rows that are wanted come before the one that draws.
void Runner::append_tokens(const Piece& piece) {
  const Chunk& chunk = piece.chunk;
  const auto first_row = static_cast<std::int32_t>(token_ids_.size());
  for (std::int32_t position = chunk.first; position < piece.end(); position++) {
    token_ids_.push_back(token_at(chunk, position));
    positions_.push_back(position);
  }
  query_starts_.push_back(first_row + chunk.num_tokens);
  context_lens_.push_back(piece.end());
  for (std::int32_t i = 0; i < piece.num_wanted; i++)
    logits_rows_.push_back(first_row + piece.first_wanted - chunk.first + i);
  if (chunk.draws) logits_rows_.push_back(first_row + chunk.num_tokens - 1);
}

void Runner::append_padding() {
  logits_rows_.push_back(query_starts_.back());
  token_ids_.push_back(0);
  positions_.push_back(0);
  query_starts_.push_back(query_starts_.back() + 1);
  context_lens_.push_back(1);
}

// One that is pending is named by its row among the tokens of the step before.
TokenId Runner::token_at(const Chunk& chunk, std::int32_t position) {
  const Sequence& sequence = *chunk.sequence;
  if (position < sequence.known_len()) return sequence.token_ids[static_cast<std::size_t>(position)];
  CHECK(chunk.pending_draw >= 0 && num_launched_ > 0, "request {} has no token {}", sequence.id, position);
  return ~step(num_launched_ - 1).rows.at(static_cast<std::size_t>(chunk.pending_draw));
}

void Runner::draw(std::span<const Draw> draws) {
  CHECK(logits_scope_.has_value(), "no step was launched");
  Step& step = this->step(num_launched_ - 1);
  CHECK(draws.size() == step.rows.size(), "{} draws, {} rows", draws.size(), step.rows.size());
  draws_.resize(draws.size());
  for (std::size_t i = 0; i < draws.size(); i++) draws_[static_cast<std::size_t>(step.rows[i])] = draws[i];
  const auto num_draws = std::ssize(draws);
  step.draws->put(ctx_, logits_.rows(0, num_draws), draws_, device_tokens_.view().rows(0, num_draws));
  logits_scope_.reset();  // later steps write there later
}

void Runner::wait() {
  CHECK(num_waited_ < num_launched_, "no step is in flight");
  Step& step = this->step(num_waited_);
  step.draws->wait();
  num_waited_++;
  tokens_.clear();
  drawn_.clear();
  for (const std::int32_t row : step.rows) {
    const ops::DrawnToken& drawn = step.draws->drawn()[static_cast<std::size_t>(row)];
    tokens_.push_back(drawn.id);
    drawn_.push_back({drawn.id, drawn.logprob, top_of(drawn.top)});
  }
  step_ms_ = step.draws->step_ms();
  draw_ms_ = step.draws->draw_ms();
}

void Runner::forget_steps() noexcept {
  num_waited_ = num_launched_;
  logits_scope_.reset();
}

}  // namespace lmdeploy
