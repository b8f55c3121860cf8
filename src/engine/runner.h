#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/prompt_scores.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "model/model.h"
#include "ops/ops.h"

namespace lmdeploy {

// Turns a plan in integers into forward passes and draws. Its buffers are reused from step to step.
class Runner {
 public:
  Runner(const Model& model, Ctx& ctx, KvPool& pool) : model_(model), ctx_(ctx), pool_(pool) {}

  // Computes the plan's chunks. draws: one for each chunk that draws, in order. scores: empty, or one for
  // each chunk, null where its prompt is not scored. On an exception the keys and values of the plan's
  // sequences are undefined.
  void run(const StepPlan& plan, std::span<const Draw> draws, std::span<PromptScores* const> scores = {});

  // Of the last run, one for each chunk that drew. Token -1: the logits were NaN, or all ids were banned.
  std::span<const TokenId> tokens() const noexcept { return tokens_; }
  std::span<const TokenScore> drawn() const noexcept { return drawn_; }  // with what its Draw asked for
  double draw_ms() const noexcept { return draw_ms_; }  // of all draws, log probabilities included

 private:
  // A chunk, or a part of one, and which of the draws is its own where it draws.
  struct Piece {
    Chunk chunk;
    std::size_t draw_idx = 0;
  };

  void run_scored(const Piece& piece, PromptScores& scores);
  void compute(std::span<const Piece> pieces, PromptScores* scores);
  Batch make_batch(std::span<const Piece> pieces, const PromptScores* scores);
  void score(const View& logits, const Sequence& sequence, PromptScores& scores);
  void draw(const View& logits, std::span<const Piece> pieces);
  void add_logprobs(const View& logits, std::span<const std::size_t> draw_idxs);

  const Model& model_;
  Ctx& ctx_;
  KvPool& pool_;

  std::span<const Draw> draws_;  // of the current run
  std::vector<Piece> pieces_;
  std::vector<std::int32_t> token_ids_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> query_starts_;
  std::vector<std::int32_t> context_lens_;
  std::vector<std::int32_t> block_tables_;
  std::vector<std::int32_t> logits_rows_;
  std::vector<ops::SamplingRow> rows_;
  std::vector<TokenId> tokens_;
  std::vector<TokenScore> drawn_;
  double draw_ms_ = 0;
};

}  // namespace lmdeploy
