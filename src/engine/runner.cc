#include "engine/runner.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace lmdeploy {
namespace {

// Tokens of a prompt whose logits are held at once: a whole chunk's would be hundreds of megabytes.
constexpr std::int32_t kMaxScoredLen = 128;

// Block tables of a device with graphs are as long as a power of two, at least this: a graph is for one
// length.
constexpr std::size_t kMinGraphBlocks = 16;

std::vector<TokenLogprob> top_of(const std::vector<ops::IdLogprob>& ids) {
  std::vector<TokenLogprob> top;
  top.reserve(ids.size());
  for (const auto& [id, logprob] : ids) top.push_back({id, logprob});
  return top;
}

bool is_scored(const Chunk& chunk, const PromptScores* scores) {
  return scores != nullptr && scores->num_wanted(chunk.first + chunk.num_tokens) > 0;
}

}  // namespace

std::int64_t graph_rows(std::int64_t num_rows) noexcept {
  const std::int64_t unit = num_rows <= 8 ? 1 : num_rows <= 128 ? 8 : num_rows <= 512 ? 32 : 128;
  return (num_rows + unit - 1) / unit * unit;
}

Runner::Runner(const Model& model, Ctx& ctx, KvPool& pool, std::int32_t max_draws)
    : model_(model), ctx_(ctx), pool_(pool), device_tokens_(*ctx.allocator, DType::i32, Shape{max_draws}) {
  for (Step& step : steps_) step.draws = ops::StepDraws::make(ctx);
}

void Runner::run(const StepPlan& plan, std::span<const Draw> draws, std::span<PromptScores* const> scores) {
  CHECK(num_waited_ == num_launched_, "a step is in flight");
  launch(plan, scores);
  draw(draws);
  wait();
}

void Runner::launch(const StepPlan& plan, std::span<PromptScores* const> scores) {
  CHECK(scores.empty() || scores.size() == plan.chunks.size(), "{} chunks, {} scores", plan.chunks.size(),
        scores.size());
  CHECK(num_launched_ - num_waited_ < std::ssize(steps_) && !logits_scope_, "{} steps are in flight",
        num_launched_ - num_waited_);
  Step& step = this->step(num_launched_);
  step.draws->begin(ctx_);
  const std::int32_t num_scored_draws = assign_rows(plan, scores, step);
  const std::int64_t num_others = std::ssize(step.rows) - num_scored_draws;
  const std::int64_t num_rows = num_scored_draws + num_others + num_padded(pieces_);
  logits_scope_.emplace(*ctx_.workspace);
  const Shape shape{num_rows, model_.info().vocab_size};
  logits_ = num_rows == 0 ? View(nullptr, DType::f32, shape) : ctx_.workspace->take(DType::f32, shape);
  for (std::size_t i = 0; i < scored_.size(); i++) run_scored(scored_[i], *piece_scores_[i]);
  if (!pieces_.empty())
    compute(pieces_, logits_.rows(num_scored_draws, num_rows - num_scored_draws), nullptr);
  num_launched_++;
}

// Which chunks are computed together and which row each draw has. Returns the number of draws of scored ones.
std::int32_t Runner::assign_rows(const StepPlan& plan, std::span<PromptScores* const> scores, Step& step) {
  step.rows.assign(static_cast<std::size_t>(plan.num_drawn), -1);
  scored_.clear();
  piece_scores_.clear();
  pieces_.clear();
  std::int32_t num_rows = 0, num_scored_draws = 0;
  for (const bool with_scores : {true, false}) {
    std::size_t draw_idx = 0;
    for (std::size_t i = 0; i < plan.chunks.size(); i++) {
      const Chunk& chunk = plan.chunks[i];
      PromptScores* wanted = scores.empty() ? nullptr : scores[i];
      const bool is_own_turn = is_scored(chunk, wanted) == with_scores;
      const Piece piece{chunk, chunk.draws && is_own_turn ? num_rows++ : -1};
      if (piece.row >= 0) step.rows.at(draw_idx) = piece.row;
      draw_idx += chunk.draws ? 1 : 0;
      if (!is_own_turn) continue;
      (with_scores ? scored_ : pieces_).push_back(piece);
      if (with_scores) piece_scores_.push_back(wanted);
    }
    CHECK(draw_idx == step.rows.size(), "{} chunks draw, {} draws", draw_idx, step.rows.size());
    if (with_scores) num_scored_draws = num_rows;
  }
  return num_scored_draws;
}

// Alone and in short parts: each row of its logits is wanted.
void Runner::run_scored(const Piece& piece, PromptScores& scores) {
  const std::int32_t end = piece.chunk.first + piece.chunk.num_tokens;
  CHECK(piece.chunk.first <= scores.next(), "position {} was passed over, the chunk begins at {}",
        scores.next(), piece.chunk.first);
  Piece part = piece;
  for (std::int32_t first = piece.chunk.first; first < end; first += part.chunk.num_tokens) {
    part.chunk.first = first;
    part.chunk.num_tokens = std::min(kMaxScoredLen, end - first);
    part.chunk.draws = piece.chunk.draws && first + part.chunk.num_tokens == end;
    const std::int32_t num_wanted = scores.num_wanted(first + part.chunk.num_tokens);
    const Workspace::Scope scope(*ctx_.workspace);
    const Shape shape{num_wanted + (part.chunk.draws ? 1 : 0), model_.info().vocab_size};
    const View logits =
        shape[0] == 0 ? View(nullptr, DType::f32, shape) : ctx_.workspace->take(DType::f32, shape);
    compute({&part, 1}, logits, &scores);
    if (part.chunk.draws) ops::cast(ctx_, logits.rows(num_wanted, 1), logits_.rows(part.row, 1));
    if (num_wanted > 0) score(logits.rows(0, num_wanted), *part.chunk.sequence, scores);
  }
}

// logits: of the rows that are scored, then of those that draw, then of those that fill the batch up.
void Runner::compute(std::span<const Piece> pieces, const View& logits, const PromptScores* scores) {
  const std::int64_t num_seqs = std::ssize(pieces) + (scores == nullptr ? num_padded(pieces) : 0);
  model_.forward(ctx_, make_batch(pieces, num_seqs, scores), pool_, logits);
}

// Rows to add to a step that may be kept as a graph: one in which each sequence computes one token and draws.
std::int64_t Runner::num_padded(std::span<const Piece> pieces) const noexcept {
  const bool is_decode = ctx_.graphs != nullptr &&
                         std::all_of(pieces.begin(), pieces.end(),
                                     [](const auto& p) { return p.chunk.num_tokens == 1 && p.chunk.draws; });
  return is_decode ? graph_rows(std::ssize(pieces)) - std::ssize(pieces) : 0;
}

// With scores there is one piece: the rows that are scored come first, then the one that draws. Sequences
// beyond the pieces are one token long, in the block that is nobody's.
Batch Runner::make_batch(std::span<const Piece> pieces, std::int64_t num_seqs, const PromptScores* scores) {
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
  for (const auto& [chunk, row] : pieces) {
    const Sequence& sequence = *chunk.sequence;
    append_tokens(chunk, scores);
    has_pending = has_pending || chunk.pending_draw >= 0;
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

void Runner::append_tokens(const Chunk& chunk, const PromptScores* scores) {
  const std::int32_t end = chunk.first + chunk.num_tokens;
  for (std::int32_t position = chunk.first; position < end; position++) {
    token_ids_.push_back(token_at(chunk, position));
    positions_.push_back(position);
  }
  const auto num_tokens = static_cast<std::int32_t>(token_ids_.size());
  query_starts_.push_back(num_tokens);
  context_lens_.push_back(end);
  for (std::int32_t i = 0; scores != nullptr && i < scores->num_wanted(end); i++)
    logits_rows_.push_back(scores->next() - chunk.first + i);
  if (chunk.draws) logits_rows_.push_back(num_tokens - 1);
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

// logits: of the positions from scores.next() on.
void Runner::score(const View& logits, const Sequence& sequence, PromptScores& scores) {
  const auto count = static_cast<std::size_t>(logits.dim(0));
  const auto targets =
      std::span(sequence.token_ids).subspan(static_cast<std::size_t>(scores.next()) + 1, count);
  std::vector<float> logprobs(count);
  ops::token_logprobs(ctx_, logits, targets, logprobs);
  std::vector<std::vector<ops::IdLogprob>> tops(count);
  if (scores.num_top() > 0)
    ops::top_logprobs(ctx_, logits, std::vector<std::int32_t>(count, scores.num_top()), tops);
  for (std::size_t i = 0; i < count; i++) scores.append({targets[i], logprobs[i], top_of(tops[i])});
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
