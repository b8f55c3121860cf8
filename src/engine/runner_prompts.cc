// What a step does for prompts that are wanted for themselves: their scores, and their embeddings.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "engine/runner.h"

namespace lmdeploy {
namespace {

// Tokens of prompts whose logits or hidden states are held at once: a whole chunk's would be hundreds of
// megabytes.
constexpr std::int32_t kMaxScoredLen = 128;
constexpr std::int32_t kMaxPooledLen = 512;

}  // namespace

// Alone and in short parts: each row of its logits is wanted.
void Runner::run_scored(const Piece& piece) {
  PromptScores& scores = *piece.work.scores;
  CHECK(piece.chunk.first <= scores.next(), "position {} was passed over, the chunk begins at {}",
        scores.next(), piece.chunk.first);
  Piece part = piece;
  for (std::int32_t first = piece.chunk.first; first < piece.end(); first += part.chunk.num_tokens) {
    part.chunk.first = first;
    part.chunk.num_tokens = std::min(kMaxScoredLen, piece.end() - first);
    part.chunk.draws = piece.chunk.draws && part.end() == piece.end();
    part.first_wanted = scores.next();
    part.num_wanted = scores.num_wanted(part.end());
    const Workspace::Scope scope(*ctx_.workspace);
    const Shape shape{part.num_wanted + (part.chunk.draws ? 1 : 0), model_.info().vocab_size};
    const View logits =
        shape[0] == 0 ? View(nullptr, DType::f32, shape) : ctx_.workspace->take(DType::f32, shape);
    model_.forward(ctx_, make_batch({&part, 1}, 1), pool_, logits);
    if (part.chunk.draws) ops::cast(ctx_, logits.rows(part.num_wanted, 1), logits_.rows(part.row, 1));
    if (part.num_wanted > 0) score(logits.rows(0, part.num_wanted), *part.chunk.sequence, scores);
  }
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

// Together, in parts of few tokens.
void Runner::run_pooled() {
  parts_.clear();
  std::int32_t room = kMaxPooledLen;
  for (const Piece& piece : pooled_) {
    for (std::int32_t first = piece.chunk.first; first < piece.end();) {
      Piece& part = parts_.emplace_back(piece);
      part.chunk.first = first;
      part.chunk.num_tokens = std::min(room, piece.end() - first);
      part.chunk.draws = false;
      part.first_wanted = piece.work.pooling->next();
      part.num_wanted = piece.work.pooling->num_wanted(part.end());
      first = part.end();
      room -= part.chunk.num_tokens;
      if (room > 0) continue;
      pool_parts();
      room = kMaxPooledLen;
    }
  }
  if (!parts_.empty()) pool_parts();
  for (const Piece& piece : pooled_)
    if (piece.row >= 0) put_pooled_logits(piece);
}

// At most one part of each prompt: what it adds is known when the next begins.
void Runner::pool_parts() {
  const std::size_t width = static_cast<std::size_t>(model_.info().hidden_size);
  std::int64_t num_rows = 0;
  for (const Piece& part : parts_) num_rows += part.num_wanted;
  const Workspace::Scope scope(*ctx_.workspace);
  const Shape shape{num_rows, model_.info().hidden_size};
  const View hidden = num_rows == 0 ? View() : ctx_.workspace->take(DType::f32, shape);
  model_.forward_hidden(ctx_, make_batch(parts_, std::ssize(parts_)), pool_, hidden);
  hidden_.resize(static_cast<std::size_t>(num_rows) * width);
  if (num_rows > 0) ops::copy_to_host(ctx_, hidden, View(hidden_.data(), DType::f32, shape));
  std::span<const float> rows = hidden_;
  for (const Piece& part : parts_)
    for (std::int32_t i = 0; i < part.num_wanted; i++, rows = rows.subspan(width))
      part.work.pooling->add(rows.first(width));
  parts_.clear();
}

// No head was computed. Where it would have given no numbers, nothing must be drawn.
void Runner::put_pooled_logits(const Piece& piece) {
  const float logit = piece.work.pooling->is_finite() ? 0 : std::numeric_limits<float>::quiet_NaN();
  logits_row_.assign(static_cast<std::size_t>(model_.info().vocab_size), logit);
  const Shape shape{1, model_.info().vocab_size};
  ops::copy_from_host(ctx_, View(logits_row_.data(), DType::f32, shape), logits_.rows(piece.row, 1));
}

}  // namespace lmdeploy
