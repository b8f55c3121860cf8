#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/scheduler.h"
#include "model/model.h"
#include "ops/ops.h"

namespace lmdeploy {

// Turns a plan in integers into a forward pass and draws. Its buffers are reused from step to step.
class Runner {
 public:
  Runner(const Model& model, Ctx& ctx, KvPool& pool) : model_(model), ctx_(ctx), pool_(pool) {}

  // Computes the plan's chunks; rows: how to draw, one for each chunk that draws, in order. On an exception
  // the keys and values of the plan's sequences are undefined.
  void run(const StepPlan& plan, std::span<const ops::SamplingRow> rows);

  // Of the last run, one for each chunk that drew. Token -1: the logits were NaN, or all ids were banned.
  std::span<const TokenId> tokens() const noexcept { return tokens_; }
  std::span<const float> logprobs() const noexcept { return logprobs_; }

 private:
  Batch make_batch(const StepPlan& plan);

  const Model& model_;
  Ctx& ctx_;
  KvPool& pool_;

  std::vector<std::int32_t> token_ids_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> query_starts_;
  std::vector<std::int32_t> context_lens_;
  std::vector<std::int32_t> block_tables_;
  std::vector<std::int32_t> logits_rows_;
  std::vector<TokenId> tokens_;
  std::vector<float> logprobs_;
};

}  // namespace lmdeploy
