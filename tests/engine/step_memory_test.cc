// What is planned for a step is what the step then takes.
#include "engine/step_memory.h"

#include <gtest/gtest.h>

#include "base/system_memory.h"
#include "engine/runner.h"
#include "model/registry.h"

namespace lmdeploy {
namespace {

constexpr std::int32_t kBatch = 5;
constexpr std::int32_t kSessionLen = 200;

class StepMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ctx_.pool = &pool_;
    ctx_.allocator = &host_allocator();
    ctx_.workspace = &workspace_;
    model_ = load_model(ctx_, std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests/golden/models/llama", {});
  }
  EngineOptions options() const {
    EngineOptions options;
    options.session_len = kSessionLen;
    options.max_batch_size = kBatch;
    options.num_threads = 3;
    return options;
  }
  // One step of `num_seqs` sequences, the first with a prompt of `prompt_len`, whose log probabilities may be
  // wanted; really computed.
  void compute(std::int32_t num_seqs, std::int32_t prompt_len, bool scored) {
    KvPool kv_pool(ctx_, model_->info().kv_layout, model_->info().num_layers, 16);
    std::vector<Sequence> sequences(static_cast<std::size_t>(num_seqs));
    StepPlan plan;
    plan.num_drawn = num_seqs;
    std::int32_t block = 0;
    for (Sequence& sequence : sequences) {
      sequence.token_ids.assign(&sequence == sequences.data() ? static_cast<std::size_t>(prompt_len) : 1, 7);
      for (std::int32_t i = 0; i < sequence.len(); i += 64) sequence.block_table.push_back(block++);
      plan.chunks.push_back({&sequence, 0, sequence.len(), true});
    }
    const std::vector<Draw> draws(sequences.size());
    PromptScores scores(prompt_len, 0);
    std::vector<PromptWork> wanted(sequences.size());
    if (scored) wanted.front().scores = &scores;
    Runner(*model_, ctx_, kv_pool, num_seqs).run(plan, draws, wanted);
  }

  ThreadPool pool_{3};
  Workspace workspace_{host_allocator(), std::size_t{1} << 30};
  Ctx ctx_;
  std::unique_ptr<const Model> model_;
};

TEST_F(StepMemoryTest, IsWhatTheLargestStepTakes) {
  const std::int64_t planned = max_workspace_bytes(*model_, options());
  compute(kBatch, kSessionLen, false);
  const auto unscored = static_cast<std::int64_t>(workspace_.peak_bytes());
  EXPECT_LT(unscored, planned);  // of this small model the logits of a prompt are more than its scratch
  compute(1, kSessionLen, true);
  EXPECT_EQ(static_cast<std::int64_t>(workspace_.peak_bytes()), planned);
}

TEST_F(StepMemoryTest, GrowsWithTheBatchAndComputesNothing) {
  EngineOptions wide = options();
  wide.max_batch_size = 60000;
  [[maybe_unused]] const std::uint64_t before = resident_memory_bytes();
  const std::int64_t planned = max_workspace_bytes(*model_, wide);
  const std::int64_t logits_bytes = std::int64_t{60000} * model_->info().vocab_size * 4;
  EXPECT_GE(planned, 2 * logits_bytes);  // and their copy for the draw
#ifndef __SANITIZE_ADDRESS__             // its shadow of what is only reserved is resident
  EXPECT_LT(resident_memory_bytes(), before + static_cast<std::uint64_t>(logits_bytes));
#endif
}

}  // namespace
}  // namespace lmdeploy
