#include "engine/runner.h"

#include <gtest/gtest.h>

#include <set>

#include "model/compute_context.h"
#include "support/fake_model.h"
#include "tensor/graph_cache.h"

namespace lmdeploy::testing {
namespace {

// Work is always done as it comes.
class NoGraphs final : public GraphCache {
 public:
  void run(const Key&, const std::function<void()>& put) override { put(); }
};

class RunnerTest : public ::testing::Test {
 protected:
  static constexpr std::int32_t kMaxSequences = 40;

  // Sequences of one block each, of which all but the last token are computed.
  void add_sequences(int count) {
    for (int i = 0; i < count; i++) {
      Sequence sequence;
      for (int position = 0; position <= i; position++) sequence.token_ids.push_back((7 * i + position) % 64);
      sequence.block_table = {i};
      sequences_.push_back(std::move(sequence));
    }
    StepPlan prompts;
    for (Sequence& sequence : sequences_)
      if (sequence.len() > 1) prompts.chunks.push_back({&sequence, 0, sequence.len() - 1, false});
    if (!prompts.chunks.empty()) runner().run(prompts, {});
  }
  StepPlan decode_plan() {
    StepPlan plan;
    for (Sequence& sequence : sequences_) plan.chunks.push_back({&sequence, sequence.len() - 1, 1, true});
    plan.num_drawn = static_cast<std::int32_t>(sequences_.size());
    return plan;
  }
  std::vector<Draw> greedy_draws() const {
    Draw draw;
    draw.row.temperature = 0;
    return std::vector<Draw>(sequences_.size(), draw);
  }
  std::vector<TokenId> expected_tokens() const {
    std::vector<TokenId> tokens;
    for (const Sequence& sequence : sequences_) tokens.push_back(model_.next_token(sequence.token_ids));
    return tokens;
  }
  std::vector<TokenId> tokens() { return {runner().tokens().begin(), runner().tokens().end()}; }

  Runner& runner() {
    if (!runner_) runner_.emplace(model_, compute_.ctx(), pool_, kMaxSequences);
    return *runner_;
  }

  ComputeContext compute_{Device::cpu, 1};
  std::vector<std::int32_t> num_rows_;  // of each forward pass
  std::int32_t least_padded_block_ = kMaxSequences;
  FakeModel model_{{.on_forward = [this](const Batch& batch) {
    num_rows_.push_back(static_cast<std::int32_t>(batch.context_lens.size()));
    for (std::size_t s = sequences_.size(); s < batch.context_lens.size(); s++)
      least_padded_block_ =
          std::min(least_padded_block_, batch.block_tables[s * static_cast<std::size_t>(batch.max_blocks)]);
  }}};
  KvPool pool_ = make_kv_pool(compute_.ctx(), model_.info(), kMaxSequences + 1);
  std::vector<Sequence> sequences_;
  std::optional<Runner> runner_;
};

TEST_F(RunnerTest, WithGraphsDecodesComeInFewSizes) {
  NoGraphs graphs;
  for (const int count : {1, 8, 9, 17}) {
    sequences_.clear();
    compute_.ctx().graphs = nullptr;
    add_sequences(count);
    compute_.ctx().graphs = &graphs;
    runner().run(decode_plan(), greedy_draws());
    EXPECT_EQ(tokens(), expected_tokens()) << count;
    EXPECT_EQ(num_rows_.back(), graph_rows(count));
    EXPECT_EQ(least_padded_block_, kMaxSequences) << "a block of the scheduler's was written to";
    compute_.ctx().graphs = nullptr;
    runner().run(decode_plan(), greedy_draws());
    EXPECT_EQ(tokens(), expected_tokens()) << count;
    EXPECT_EQ(num_rows_.back(), count);
  }
}

TEST_F(RunnerTest, RowsOfGraphsAreFewAndNotManyMore) {
  std::set<std::int64_t> sizes;
  for (std::int64_t n = 1; n <= 1024; n++) {
    const std::int64_t rows = graph_rows(n);
    EXPECT_GE(rows, n);
    EXPECT_LE(rows, n + std::max<std::int64_t>(7, n / 4)) << n;
    EXPECT_EQ(graph_rows(rows), rows);
    sizes.insert(rows);
  }
  EXPECT_LE(sizes.size(), 40U);
}

// The second step is launched before anybody knows the first one's tokens.
TEST_F(RunnerTest, AStepGoesOnBehindTokensThatNobodyKnows) {
  add_sequences(5);
  runner().launch(decode_plan());
  runner().draw(greedy_draws());
  StepPlan next = decode_plan();
  for (std::int32_t i = 0; Chunk & chunk : next.chunks) {
    chunk.first++;
    chunk.pending_draw = i++;
    chunk.sequence->num_pending = 1;
  }
  std::swap(next.chunks[1], next.chunks[3]);
  runner().launch(next);
  runner().wait();
  EXPECT_EQ(tokens(), expected_tokens());
  for (std::size_t i = 0; i < sequences_.size(); i++) {
    sequences_[i].token_ids.push_back(runner().tokens()[i]);
    sequences_[i].num_pending = 0;
  }
  runner().draw(greedy_draws());
  runner().wait();
  std::vector<TokenId> expected = expected_tokens();
  std::swap(expected[1], expected[3]);
  EXPECT_EQ(tokens(), expected);
}

}  // namespace
}  // namespace lmdeploy::testing
