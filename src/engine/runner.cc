#include "engine/runner.h"

#include <algorithm>
#include <bit>
#include <chrono>

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

}  // namespace

void Runner::run(const StepPlan& plan, std::span<const Draw> draws, std::span<PromptScores* const> scores) {
  CHECK(static_cast<std::size_t>(plan.num_drawn) == draws.size(), "{} draw, {} draws", plan.num_drawn,
        draws.size());
  CHECK(scores.empty() || scores.size() == plan.chunks.size(), "{} chunks, {} scores", plan.chunks.size(),
        scores.size());
  draws_ = draws;
  draw_ms_ = 0;
  tokens_.assign(draws.size(), -1);
  drawn_.assign(draws.size(), {});
  pieces_.clear();
  std::size_t draw_idx = 0;
  for (std::size_t i = 0; i < plan.chunks.size(); i++) {
    const Piece piece{plan.chunks[i], draw_idx};
    draw_idx += piece.chunk.draws ? 1 : 0;
    PromptScores* wanted = scores.empty() ? nullptr : scores[i];
    if (wanted != nullptr && wanted->num_wanted(piece.chunk.first + piece.chunk.num_tokens) > 0)
      run_scored(piece, *wanted);
    else
      pieces_.push_back(piece);
  }
  if (!pieces_.empty()) compute(pieces_, nullptr);
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
    compute({&part, 1}, &scores);
  }
}

void Runner::compute(std::span<const Piece> pieces, PromptScores* scores) {
  const Batch batch = make_batch(pieces, scores);
  const auto num_rows = static_cast<std::int64_t>(logits_rows_.size());
  const Workspace::Scope scope(*ctx_.workspace);
  const Shape shape{num_rows, model_.info().vocab_size};
  const View logits =
      num_rows == 0 ? View(nullptr, DType::f32, shape) : ctx_.workspace->take(DType::f32, shape);
  model_.forward(ctx_, batch, pool_, logits);
  const std::int64_t num_draws =
      std::count_if(pieces.begin(), pieces.end(), [](const Piece& piece) { return piece.chunk.draws; });
  if (num_rows > num_draws)
    score(logits.rows(0, num_rows - num_draws), *pieces.front().chunk.sequence, *scores);
  if (num_draws > 0) draw(logits.rows(num_rows - num_draws, num_draws), pieces);
}

// With scores there is one piece: the rows that are scored come first, then the one that draws.
Batch Runner::make_batch(std::span<const Piece> pieces, const PromptScores* scores) {
  std::size_t max_blocks = 0;
  for (const Piece& piece : pieces)
    max_blocks = std::max(max_blocks, piece.chunk.sequence->block_table.size());
  if (ctx_.graphs != nullptr) max_blocks = std::bit_ceil(std::max(max_blocks, kMinGraphBlocks));
  token_ids_.clear();
  positions_.clear();
  query_starts_.assign(1, 0);
  context_lens_.clear();
  logits_rows_.clear();
  block_tables_.assign(pieces.size() * max_blocks, -1);

  auto table_row = block_tables_.begin();
  for (const auto& [chunk, draw_idx] : pieces) {
    const Sequence& sequence = *chunk.sequence;
    const std::int32_t end = chunk.first + chunk.num_tokens;
    token_ids_.insert(token_ids_.end(), sequence.token_ids.begin() + chunk.first,
                      sequence.token_ids.begin() + end);
    for (std::int32_t position = chunk.first; position < end; position++) positions_.push_back(position);
    const auto num_tokens = static_cast<std::int32_t>(token_ids_.size());
    query_starts_.push_back(num_tokens);
    context_lens_.push_back(end);
    for (std::int32_t i = 0; scores != nullptr && i < scores->num_wanted(end); i++)
      logits_rows_.push_back(scores->next() - chunk.first + i);
    if (chunk.draws) logits_rows_.push_back(num_tokens - 1);
    std::copy(sequence.block_table.begin(), sequence.block_table.end(), table_row);
    table_row += static_cast<std::ptrdiff_t>(max_blocks);
  }
  return {token_ids_,    positions_,    query_starts_,
          context_lens_, block_tables_, static_cast<std::int32_t>(max_blocks),
          logits_rows_};
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

void Runner::draw(const View& logits, std::span<const Piece> pieces) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::size_t> draw_idxs;
  rows_.clear();
  for (const Piece& piece : pieces)
    if (piece.chunk.draws) {
      draw_idxs.push_back(piece.draw_idx);
      rows_.push_back(draws_[piece.draw_idx].row);
    }
  std::vector<TokenId> tokens(rows_.size());
  ops::sample(ctx_, logits, rows_, tokens);
  for (std::size_t i = 0; i < tokens.size(); i++)
    tokens_[draw_idxs[i]] = drawn_[draw_idxs[i]].token = tokens[i];
  add_logprobs(logits, draw_idxs);
  draw_ms_ += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

void Runner::add_logprobs(const View& logits, std::span<const std::size_t> draw_idxs) {
  std::vector<std::int32_t> targets, counts;
  bool any = false, any_top = false;
  for (const std::size_t draw_idx : draw_idxs) {
    const Draw& draw = draws_[draw_idx];
    targets.push_back(draw.logprob ? tokens_[draw_idx] : -1);
    counts.push_back(draw.num_top);
    any = any || draw.logprob;
    any_top = any_top || draw.num_top > 0;
  }
  if (!any) return;
  std::vector<float> logprobs(targets.size());
  ops::token_logprobs(ctx_, logits, targets, logprobs);
  std::vector<std::vector<ops::IdLogprob>> tops(targets.size());
  if (any_top) ops::top_logprobs(ctx_, logits, counts, tops);
  for (std::size_t i = 0; i < targets.size(); i++) {
    drawn_[draw_idxs[i]].logprob = logprobs[i];
    drawn_[draw_idxs[i]].top = top_of(tops[i]);
  }
}

}  // namespace lmdeploy
