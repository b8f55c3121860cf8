// Random lives of many sequences, with the invariants of the policy checked after every step.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "engine/scheduler.h"

namespace lmdeploy {
namespace {

class Simulation {
 public:
  explicit Simulation(std::uint32_t seed) : random_(seed), options_(random_options()), scheduler_(options_) {}

  void run() {
    const int num_requests = below(40) + 1;
    std::uint64_t num_steps = 0;
    while (!::testing::Test::HasFatalFailure()) {
      if (static_cast<int>(sequences_.size()) < num_requests && (below(3) == 0 || scheduler_.idle())) add();
      if (below(60) == 0) remove_one();
      if (!scheduler_.idle()) step();
      if (static_cast<int>(sequences_.size()) == num_requests && scheduler_.idle()) break;
      ASSERT_LT(++num_steps, 200'000U) << "no progress";
    }
    for (const auto& sequence : sequences_) ASSERT_NE(sequence->finish_reason, FinishReason::none);
    ASSERT_EQ(scheduler_.blocks().num_used(), 0);
    ASSERT_EQ(scheduler_.num_waiting_tokens(), 0);
  }

  std::uint64_t num_preemptions() const { return scheduler_.num_preemptions(); }

 private:
  int below(int end) { return static_cast<int>(random_() % static_cast<std::uint32_t>(end)); }

  SchedulerOptions random_options() {
    return {.num_blocks = below(30) + 1,
            .block_len = below(8) + 1,
            .max_batch_size = below(10) + 1,
            .prefill_chunk_len = below(40) + 1,
            .mixed_chunk_len = below(20) + 1};
  }

  void add() {
    const auto pool_len = static_cast<int>(scheduler_.max_len());
    if (pool_len < 2) return add_smallest_pool();
    auto sequence = std::make_unique<Sequence>();
    sequence->id = sequences_.size();
    sequence->prompt_len = below(std::min(pool_len - 1, 60)) + 1;
    sequence->token_ids.assign(static_cast<std::size_t>(sequence->prompt_len), 5);
    sequence->max_len = sequence->prompt_len + 1 + below(pool_len - sequence->prompt_len);
    sequence->stop_token_ids = {0};
    sequence->ignore_stop = below(2) == 0;
    sequences_.push_back(std::move(sequence));
    scheduler_.add(*sequences_.back());
  }
  // A pool of one token holds no prompt with an answer: start over with a larger one.
  void add_smallest_pool() {
    options_.num_blocks = 2;
    scheduler_ = Scheduler(options_);
    add();
  }

  void remove_one() {
    for (const auto& sequence : sequences_)
      if (sequence->finish_reason == FinishReason::none && below(2) == 0) {
        scheduler_.remove(*sequence);
        sequence->finish_reason = FinishReason::abort;
        return;
      }
  }

  void step() {
    const std::uint64_t preemptions_before = scheduler_.num_preemptions();
    const Sequence* oldest = oldest_alive();
    const std::int32_t oldest_work = oldest->num_uncomputed();
    const StepPlan plan = scheduler_.schedule();
    check_plan(plan);
    check_blocks();
    // Progress: whoever came first is in every plan and is never preempted.
    ASSERT_FALSE(plan.chunks.empty());
    ASSERT_TRUE(std::any_of(plan.chunks.begin(), plan.chunks.end(),
                            [&](const Chunk& c) { return c.sequence == oldest; }));
    ASSERT_EQ(oldest->num_uncomputed(), oldest_work);
    if (scheduler_.num_preemptions() == preemptions_before) check_decodes_all_run(plan);

    std::vector<TokenId> tokens(static_cast<std::size_t>(plan.num_drawn));
    for (TokenId& token : tokens) token = below(25) - (below(100) == 0 ? 25 : 0);
    for (TokenId& token : tokens) token = std::max(token, -1);
    std::map<const Sequence*, std::int32_t> len_before;
    for (const Chunk& chunk : plan.chunks) len_before[chunk.sequence] = chunk.sequence->len();
    scheduler_.commit(plan, tokens);
    for (const Chunk& chunk : plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      ASSERT_EQ(sequence.num_computed, chunk.first + chunk.num_tokens);
      if (!chunk.draws) {
        ASSERT_EQ(sequence.len(), len_before[&sequence]);
      }
      ASSERT_LE(sequence.len(), sequence.max_len);
    }
    check_blocks();
  }

  const Sequence* oldest_alive() const {
    const auto alive = std::find_if(sequences_.begin(), sequences_.end(), [](const auto& sequence) {
      return sequence->finish_reason == FinishReason::none;
    });
    return alive->get();
  }

  void check_plan(const StepPlan& plan) {
    std::set<const Sequence*> seen;
    std::int32_t num_prompt_tokens = 0;
    std::int32_t num_drawn = 0;
    bool prompts_began = false;
    for (const Chunk& chunk : plan.chunks) {
      const Sequence& sequence = *chunk.sequence;
      ASSERT_TRUE(seen.insert(&sequence).second) << "a sequence is in the plan twice";
      ASSERT_EQ(chunk.first, sequence.num_computed);
      ASSERT_GE(chunk.num_tokens, 1);
      ASSERT_LE(chunk.first + chunk.num_tokens, sequence.len());
      ASSERT_EQ(chunk.draws, chunk.first + chunk.num_tokens == sequence.len());
      ASSERT_GE(static_cast<std::int64_t>(sequence.block_table.size()) * options_.block_len,
                chunk.first + chunk.num_tokens)
          << "a token without a slot";
      num_drawn += chunk.draws ? 1 : 0;
      const bool decodes = sequence.num_uncomputed() == 1 && sequence.num_computed > 0;
      if (decodes) {
        ASSERT_FALSE(prompts_began) << "a prompt went before a decode";
      } else {
        prompts_began = true;
        num_prompt_tokens += chunk.num_tokens;
      }
    }
    ASSERT_EQ(num_drawn, plan.num_drawn);
    ASSERT_LE(num_prompt_tokens, options_.prefill_chunk_len);
    ASSERT_LE(scheduler_.num_running(), options_.max_batch_size);
  }

  void check_decodes_all_run(const StepPlan& plan) {
    for (const auto& sequence : sequences_) {
      const bool decodes = sequence->finish_reason == FinishReason::none && !sequence->block_table.empty() &&
                           sequence->num_computed > 0 && sequence->num_uncomputed() == 1;
      if (decodes) {
        ASSERT_TRUE(std::any_of(plan.chunks.begin(), plan.chunks.end(), [&](const Chunk& c) {
          return c.sequence == sequence.get();
        })) << "a decode was left out of a step";
      }
    }
  }

  void check_blocks() {
    scheduler_.blocks().check_integrity();
    std::set<std::int32_t> owned;
    std::size_t total = 0;
    std::int64_t waiting_tokens = 0;
    for (const auto& sequence : sequences_) {
      const auto& table = sequence->block_table;
      if (sequence->finish_reason != FinishReason::none) {
        ASSERT_TRUE(table.empty()) << "blocks left behind";
      } else if (table.empty()) {
        waiting_tokens += sequence->len();
      }
      owned.insert(table.begin(), table.end());
      total += table.size();
    }
    ASSERT_EQ(owned.size(), total) << "a block belongs to two sequences";
    ASSERT_EQ(static_cast<std::size_t>(scheduler_.blocks().num_used()), total);
    ASSERT_EQ(scheduler_.num_waiting_tokens(), waiting_tokens);
  }

  std::mt19937 random_;
  SchedulerOptions options_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Sequence>> sequences_;  // in order of arrival
};

TEST(SchedulerRandom, InvariantsHold) {
  std::uint64_t num_preemptions = 0;
  for (std::uint32_t seed = 0; seed < 1500 && !::testing::Test::HasFatalFailure(); seed++) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed);
    simulation.run();
    num_preemptions += simulation.num_preemptions();
  }
  EXPECT_GT(num_preemptions, 1000U) << "the pools are too large to test anything";
}

}  // namespace
}  // namespace lmdeploy
