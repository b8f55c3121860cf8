#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/prompt_pooling.h"
#include "engine/prompt_scores.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "model/model.h"
#include "ops/ops.h"
#include "ops/step_draws.h"

namespace lmdeploy {

// What one chunk's prompt is computed for beside its draw; null: not for that. One of them at most.
struct PromptWork {
  PromptScores* scores = nullptr;
  PromptPooling* pooling = nullptr;
};

// Turns a plan in integers into a forward pass and draws. A step is launched, then drawn from, then waited
// for, and the next one may be launched before this one is waited for: it finds the tokens that nobody knows
// yet where the draws have left them. So a device that computes beside the host always has work, and each
// draw still sees all tokens before it. Buffers are reused from step to step.
class Runner {
 public:
  // max_draws: of one step. The pool's last block is nobody's: rows that only fill a batch up write there.
  Runner(const Model& model, Ctx& ctx, KvPool& pool, std::int32_t max_draws);

  // The forward pass of a step, behind the draws of the one before. work: empty, or one for each chunk;
  // its results are waited for. What is drawn behind a pooled prompt means nothing, but for -1: its hidden
  // states are not numbers.
  void launch(const StepPlan& plan, std::span<const PromptWork> work = {});
  // The draws of the step that was launched last: one for each chunk that draws, in order.
  void draw(std::span<const Draw> draws);
  // Until the oldest step that was not waited for has been computed.
  void wait();
  // A step from its beginning to its end, while no other is in flight.
  void run(const StepPlan& plan, std::span<const Draw> draws, std::span<const PromptWork> work = {});

  // After an exception: no step is in flight any more. Keys and values of their sequences are undefined.
  void forget_steps() noexcept;

  // Of the step that was waited for last, one for each chunk that drew. Token -1: the logits were NaN, or all
  // ids were banned.
  std::span<const TokenId> tokens() const noexcept { return tokens_; }
  std::span<const TokenScore> drawn() const noexcept { return drawn_; }  // with what its Draw asked for
  double step_ms() const noexcept { return step_ms_; }                   // of the device
  double draw_ms() const noexcept { return draw_ms_; }  // of all draws, log probabilities included

 private:
  // A chunk, or a part of one, and which row of the step's logits is its own where it draws. Beside that
  // draw's the rows of these positions are wanted.
  struct Piece {
    Chunk chunk;
    std::int32_t row = -1;
    PromptWork work = {};
    std::int32_t first_wanted = 0;
    std::int32_t num_wanted = 0;

    std::int32_t end() const noexcept { return chunk.first + chunk.num_tokens; }
  };
  struct Step {
    std::unique_ptr<ops::StepDraws> draws;
    std::vector<std::int32_t> rows;  // of each draw, in the step's logits
  };

  Step& step(std::int64_t number) noexcept {
    return steps_[static_cast<std::size_t>(number) % steps_.size()];
  }
  std::int32_t assign_rows(const StepPlan& plan, std::span<const PromptWork> work, Step& step);
  std::vector<Piece>& group_of(const Chunk& chunk, const PromptWork& work);
  void run_scored(const Piece& piece);
  void run_pooled();
  void pool_parts();
  void put_pooled_logits(const Piece& piece);
  std::int64_t num_padded(std::span<const Piece> pieces) const noexcept;
  Batch make_batch(std::span<const Piece> pieces, std::int64_t num_seqs);
  void append_tokens(const Piece& piece);
  void append_padding();
  TokenId token_at(const Chunk& chunk, std::int32_t position);
  void score(const View& logits, const Sequence& sequence, PromptScores& scores);

  const Model& model_;
  Ctx& ctx_;
  KvPool& pool_;

  std::array<Step, 2> steps_;  // by number, in turns
  std::int64_t num_launched_ = 0;
  std::int64_t num_waited_ = 0;
  Tensor device_tokens_;  // [max_draws] i32: of the step that was drawn from last, by rows
  // Of the step that was launched last, until it is drawn from: scored prompts first, then the others.
  std::optional<Workspace::Scope> logits_scope_;
  View logits_;

  std::vector<Piece> scored_, pooled_, pieces_;
  std::vector<Piece> parts_;       // of pooled_, that are computed together
  std::vector<float> hidden_;      // of their rows
  std::vector<float> logits_row_;  // [vocab_size]
  std::vector<std::int32_t> token_ids_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> query_starts_;
  std::vector<std::int32_t> context_lens_;
  std::vector<std::int32_t> block_tables_;
  std::vector<std::int32_t> logits_rows_;
  std::vector<Draw> draws_;  // by rows
  std::vector<TokenId> tokens_;
  std::vector<TokenScore> drawn_;
  double step_ms_ = 0;
  double draw_ms_ = 0;
};

std::vector<TokenLogprob> top_of(const std::vector<ops::IdLogprob>& ids);

// Rows of a batch whose steps are kept as graphs: num_rows and as many more that so few lengths come up. A
// graph takes megabytes, and linear layers take rows by eights anyway.
std::int64_t graph_rows(std::int64_t num_rows) noexcept;

}  // namespace lmdeploy
