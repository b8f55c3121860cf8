// The scheduler with its prefix cache: who finds what, who waits for whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "engine/scheduler.h"

namespace lmdeploy {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using ::testing::IsEmpty;

// Blocks of 4 tokens; a step computes at most 8 of prompts. Prompts are 100 100 ..., and answers 1 1 ...
class SchedulerCache : public ::testing::Test {
 protected:
  struct Wish {
    std::int32_t prompt_len = 0;
    std::int32_t answer_len = 2;
    TokenId token = 100;
    const char* salt = "";
    bool reads_cache = true;
  };
  Sequence& add(const Wish& wish) {
    auto sequence = std::make_unique<Sequence>();
    sequence->id = sequences_.size();
    sequence->token_ids.assign(static_cast<std::size_t>(wish.prompt_len), wish.token);
    sequence->prompt_len = wish.prompt_len;
    sequence->max_len = wish.prompt_len + wish.answer_len;
    sequence->cache_salt = wish.salt;
    sequence->reads_cache = wish.reads_cache;
    sequences_.push_back(std::move(sequence));
    scheduler_.add(*sequences_.back());
    return *sequences_.back();
  }
  // (id, first, num_tokens) of each chunk.
  std::vector<std::tuple<RequestId, int, int>> step(TokenId token = 1) {
    const StepPlan plan = scheduler_.schedule();
    scheduler_.blocks().check_integrity();
    std::vector<std::tuple<RequestId, int, int>> chunks;
    for (const Chunk& c : plan.chunks) chunks.emplace_back(c.sequence->id, c.first, c.num_tokens);
    scheduler_.commit(plan, std::vector<TokenId>(static_cast<std::size_t>(plan.num_drawn), token));
    scheduler_.blocks().check_integrity();
    return chunks;
  }
  void finish() {
    while (!scheduler_.idle()) step();
  }
  const BlockManager& blocks() const { return scheduler_.blocks(); }

  static constexpr SchedulerOptions kOptions{.num_blocks = 20,
                                             .block_len = 4,
                                             .max_prompt_tokens = 8,
                                             .cost = {},
                                             .enable_prefix_caching = true,
                                             .hash_key = {1, 2}};
  Scheduler scheduler_{kOptions};
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

TEST_F(SchedulerCache, SecondPromptComputesOnlyTheRest) {
  add({.prompt_len = 15});
  finish();
  EXPECT_EQ(blocks().num_used(), 0);
  EXPECT_EQ(blocks().num_cached(), 4);  // the answer's first token filled one
  const Sequence& second = add({.prompt_len = 14});
  EXPECT_THAT(step(), ElementsAre(FieldsAre(1, 12, 2)));
  EXPECT_EQ(second.num_cached, 12);
  EXPECT_EQ(scheduler_.num_cache_query_tokens(), 29U);
  EXPECT_EQ(scheduler_.num_cache_hit_tokens(), 12U);
}

TEST_F(SchedulerCache, LastTokenIsAlwaysComputed) {
  add({.prompt_len = 8});
  finish();
  add({.prompt_len = 8});
  EXPECT_THAT(step(), ElementsAre(FieldsAre(1, 4, 4)));
  add({.prompt_len = 9});
  step();
  EXPECT_EQ(sequences_.back()->num_cached, 8);
}

TEST_F(SchedulerCache, AnswersAreFoundByTheNextTurn) {
  Sequence& first = add({.prompt_len = 6, .answer_len = 8});
  finish();
  Sequence& second = add({.prompt_len = 18});
  std::copy(first.token_ids.begin(), first.token_ids.end(), second.token_ids.begin());
  step();
  EXPECT_EQ(second.num_cached, 12);  // the answer's last token was drawn but never computed
}

TEST_F(SchedulerCache, AbortedAnswersAreFoundToo) {
  Sequence& first = add({.prompt_len = 6, .answer_len = 30});
  for (int i = 0; i < 8; i++) step();
  scheduler_.remove(first, FinishReason::abort);
  EXPECT_EQ(blocks().num_used(), 0);
  EXPECT_EQ(blocks().num_cached(), 3);
}

TEST_F(SchedulerCache, SaltsShareNothing) {
  add({.prompt_len = 15, .salt = "anna"});
  finish();
  add({.prompt_len = 15, .salt = "bert"});
  add({.prompt_len = 15});
  step();
  step();
  step();
  EXPECT_EQ(sequences_[1]->num_cached, 0);
  EXPECT_EQ(sequences_[2]->num_cached, 0);
  add({.prompt_len = 15, .salt = "anna"});
  finish();
  EXPECT_EQ(sequences_[3]->num_cached, 12);
}

TEST_F(SchedulerCache, WaitsForWhatIsBeingComputed) {
  add({.prompt_len = 15});
  add({.prompt_len = 15});
  EXPECT_THAT(step(), ElementsAre(FieldsAre(0, 0, 8)));
  EXPECT_THAT(step(), ElementsAre(FieldsAre(0, 8, 7))) << "the rest of the step stays empty";
  EXPECT_THAT(step(), ElementsAre(FieldsAre(0, 15, 1), FieldsAre(1, 12, 3)));
  EXPECT_EQ(sequences_[1]->num_cached, 12);
}

TEST_F(SchedulerCache, DoesNotWaitForMoreThanItShares) {
  add({.prompt_len = 40});
  Sequence& second = add({.prompt_len = 15});
  std::fill(second.token_ids.begin() + 8, second.token_ids.end(), 200);
  step();
  scheduler_.set_cost({});
  EXPECT_EQ(second.num_computed, 0);
  while (second.num_cached < 0) step();
  EXPECT_EQ(second.num_cached, 8);
}

TEST_F(SchedulerCache, ComputesItselfWhatTheOtherDidNotFinish) {
  Sequence& first = add({.prompt_len = 15});
  add({.prompt_len = 15});
  step();
  scheduler_.remove(first, FinishReason::abort);
  EXPECT_EQ(blocks().num_cached(), 2);
  EXPECT_THAT(step(), ElementsAre(FieldsAre(1, 8, 7)));
  EXPECT_EQ(sequences_[1]->num_cached, 8);
}

TEST_F(SchedulerCache, SequencesWithEqualAnswersEndUpWithOneCopy) {
  Sequence& first = add({.prompt_len = 6, .answer_len = 20});
  Sequence& second = add({.prompt_len = 6, .answer_len = 20});
  for (int i = 0; i < 4; i++) step();
  EXPECT_EQ(first.num_cached, 0);
  EXPECT_EQ(second.num_cached, 4);
  for (int i = 0; i < 6; i++) step();
  ASSERT_GE(second.num_shared, 3);
  for (std::size_t i = 0; i < 3; i++) EXPECT_EQ(first.block_table[i], second.block_table[i]);
  EXPECT_NE(first.block_table.back(), second.block_table.back());
}

TEST_F(SchedulerCache, WhoReadsNothingIsFoundAllTheSame) {
  const Sequence& reader_of_none = add({.prompt_len = 15, .reads_cache = false});
  finish();
  add({.prompt_len = 15, .reads_cache = false});
  EXPECT_THAT(step(), ElementsAre(FieldsAre(1, 0, 8)));
  finish();
  EXPECT_EQ(reader_of_none.num_cached, 0);
  EXPECT_EQ(scheduler_.num_cache_query_tokens(), 0U);
  EXPECT_EQ(blocks().num_cached(), 4) << "equal blocks were kept twice";
  add({.prompt_len = 15});
  EXPECT_THAT(step(), ElementsAre(FieldsAre(2, 12, 3)));
}

TEST_F(SchedulerCache, CachedBlocksGiveWayToWhoNeedsThem) {
  add({.prompt_len = 70});
  finish();
  EXPECT_GE(blocks().num_cached(), 17);
  add({.prompt_len = 70, .token = 200});
  finish();
  EXPECT_EQ(sequences_[1]->finish_reason, FinishReason::length);
  EXPECT_EQ(scheduler_.num_preemptions(), 0U);
}

TEST_F(SchedulerCache, PreemptedFindsItsBlocksAgain) {
  // 20 blocks: both grow to 11.
  add({.prompt_len = 30, .answer_len = 14, .token = 100});
  const Sequence& second = add({.prompt_len = 32, .answer_len = 12, .token = 200});
  while (scheduler_.num_preemptions() == 0) step();
  EXPECT_EQ(second.num_preemptions, 1);
  EXPECT_EQ(second.num_cached, 0);
  finish();
  EXPECT_LT(second.num_computed_ever, 43 + 10) << "computed all of it again";
  EXPECT_GT(second.num_computed_ever, 43);
  EXPECT_EQ(second.num_cached, 0) << "what it found after the preemption was its own";
}

TEST_F(SchedulerCache, NothingOfAFailedDrawIsKept) {
  add({.prompt_len = 8});
  step(-1);
  EXPECT_EQ(sequences_[0]->finish_reason, FinishReason::error);
  EXPECT_EQ(blocks().num_cached(), 0);
  EXPECT_EQ(blocks().num_free(), 20);
}

TEST_F(SchedulerCache, OffMeansOff) {
  SchedulerOptions options = kOptions;
  options.enable_prefix_caching = false;
  scheduler_ = Scheduler(options);
  add({.prompt_len = 15});
  finish();
  EXPECT_EQ(blocks().num_free(), 20);
  add({.prompt_len = 15});
  EXPECT_THAT(step(), ElementsAre(FieldsAre(1, 0, 8)));
  EXPECT_EQ(scheduler_.num_cache_query_tokens(), 0U);
}

TEST_F(SchedulerCache, ResetForgetsTheContents) {
  add({.prompt_len = 15});
  finish();
  add({.prompt_len = 15});
  scheduler_.reset();
  EXPECT_EQ(blocks().num_free(), 20);
  EXPECT_TRUE(scheduler_.idle());
}

}  // namespace
}  // namespace lmdeploy
