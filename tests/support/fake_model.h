#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>

#include "model/model.h"

namespace lmdeploy::testing {

struct FakeModelOptions {
  std::int32_t vocab_size = 64;
  std::int32_t block_len = 64;
  std::int32_t max_position_embeddings = 4096;
  std::chrono::microseconds step_time{0};  // a forward pass takes at least this long
  std::int32_t nan_token = -1;             // whoever's last token this is gets logits that are not numbers
  std::int32_t loop_token = -1;            // after this token the most likely one is itself
  // The token that is the most likely one after these; negative: the hash says.
  std::function<std::int32_t(std::span<const std::int32_t>)> says = {};
  // Called first in each forward pass, on the engine's thread; may throw.
  std::function<void(const Batch&)> on_forward = {};
};

// A model without arithmetic that keeps its memory where a real one does. It writes each token with its
// position into the KV pool, as the block tables say, and its logits are a hash of all that it reads back
// from position 0 on. A wrong table, position or slot, a stale or a shared block thus changes the answer; and
// it CHECKs on the way that what it reads is a prefix which was written for these very positions.
class FakeModel final : public Model {
 public:
  explicit FakeModel(FakeModelOptions options = {});

  const ModelInfo& info() const override { return info_; }
  void forward(Ctx& ctx, const Batch& batch, KvPool& pool, const View& logits) const override;
  void forward_hidden(Ctx& ctx, const Batch& batch, KvPool& pool, const View& hidden) const override;

  // The most likely token after these: what a greedy answer must continue with.
  std::int32_t next_token(std::span<const std::int32_t> token_ids) const;

  // logits: [vocab_size]
  void logits_after(std::span<const std::int32_t> token_ids, std::span<float> logits) const;

  // The hidden state of the last of these: a hash of them all. hidden: [hidden_size].
  void hidden_after(std::span<const std::int32_t> token_ids, std::span<float> hidden) const;

  // log_softmax of them, [vocab_size].
  std::vector<double> logprobs_after(std::span<const std::int32_t> token_ids) const;

 private:
  // Calls give_row(prefix, row) for each of batch.logits_rows.
  using GiveRow = std::function<void(std::span<const std::int32_t>, std::int64_t)>;
  void run(const Batch& batch, KvPool& pool, const GiveRow& give_row) const;

  FakeModelOptions options_;
  ModelInfo info_;
};

}  // namespace lmdeploy::testing
