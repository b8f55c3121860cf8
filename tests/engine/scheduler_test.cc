#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr TokenId kStop = 9;

// Sequences whose every drawn token is 1 unless a test says otherwise.
class SchedulerTest : public ::testing::Test {
 protected:
  Sequence& add(Scheduler& scheduler, std::int32_t prompt_len, std::int32_t answer_len) {
    auto sequence = std::make_unique<Sequence>();
    sequence->id = sequences_.size();
    sequence->token_ids.assign(static_cast<std::size_t>(prompt_len), 0);
    sequence->prompt_len = prompt_len;
    sequence->max_len = prompt_len + answer_len;
    sequence->stop_token_ids = {kStop};
    sequences_.push_back(std::move(sequence));
    scheduler.add(*sequences_.back());
    return *sequences_.back();
  }
  static StepPlan step(Scheduler& scheduler, TokenId token = 1) {
    StepPlan plan = scheduler.schedule();
    scheduler.commit(plan, std::vector<TokenId>(static_cast<std::size_t>(plan.num_drawn), token));
    return plan;
  }
  // (id, first, num_tokens) of each chunk.
  static std::vector<std::tuple<RequestId, int, int>> chunks(const StepPlan& plan) {
    std::vector<std::tuple<RequestId, int, int>> result;
    for (const Chunk& c : plan.chunks) result.emplace_back(c.sequence->id, c.first, c.num_tokens);
    return result;
  }

  std::vector<std::unique_ptr<Sequence>> sequences_;
};

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using ::testing::IsEmpty;

TEST_F(SchedulerTest, ListsTheBlocksThatStepsToComeWriteTo) {
  Scheduler scheduler({.num_blocks = 12, .max_prompt_tokens = 100, .cost = {.token_ms = 1}});
  std::vector<std::int32_t> next;
  scheduler.list_next_blocks(2, next);
  EXPECT_THAT(next, ElementsAre(0, 1));
  add(scheduler, 640, 3);
  step(scheduler);  // of ten blocks, the first is full
  scheduler.list_next_blocks(3, next);
  EXPECT_THAT(next, ElementsAre(10, 11, 1, 2, 3));
  while (scheduler.num_running() > 0) step(scheduler);
  scheduler.list_next_blocks(3, next);
  EXPECT_THAT(next, ElementsAre(11));  // the answer took the eleventh
}

TEST_F(SchedulerTest, PromptThenOneTokenAStep) {
  Scheduler scheduler({.num_blocks = 4});
  const Sequence& sequence = add(scheduler, 10, 3);
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 0, 10)));
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 10, 1)));
  EXPECT_EQ(sequence.finish_reason, FinishReason::none);
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 11, 1)));
  EXPECT_EQ(sequence.finish_reason, FinishReason::length);
  EXPECT_EQ(sequence.answer_len(), 3);
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(scheduler.blocks().num_used(), 0);
  EXPECT_THAT(scheduler.schedule().chunks, IsEmpty());
}

TEST_F(SchedulerTest, StopTokenEndsUnlessIgnored) {
  Scheduler scheduler({.num_blocks = 4});
  const Sequence& ends = add(scheduler, 5, 3);
  Sequence& goes_on = add(scheduler, 5, 3);
  goes_on.ignore_stop = true;
  step(scheduler, kStop);
  EXPECT_EQ(ends.finish_reason, FinishReason::stop);
  EXPECT_EQ(ends.token_ids.back(), kStop);
  EXPECT_EQ(goes_on.finish_reason, FinishReason::none);
}

TEST_F(SchedulerTest, FailedDrawEndsOnlyItsSequence) {
  Scheduler scheduler({.num_blocks = 4});
  const Sequence& fails = add(scheduler, 5, 3);
  const Sequence& goes_on = add(scheduler, 5, 3);
  const StepPlan plan = scheduler.schedule();
  scheduler.commit(plan, std::vector<TokenId>{-1, 1});
  EXPECT_EQ(fails.finish_reason, FinishReason::error);
  EXPECT_EQ(fails.answer_len(), 0);
  EXPECT_EQ(goes_on.finish_reason, FinishReason::none);
  EXPECT_EQ(scheduler.blocks().num_used(), 1);
}

TEST_F(SchedulerTest, LongPromptComesInChunksAndOnlyTheLastDraws) {
  Scheduler scheduler({.num_blocks = 40, .max_prompt_tokens = 100});
  add(scheduler, 250, 2);
  EXPECT_EQ(step(scheduler).num_drawn, 0);
  EXPECT_EQ(step(scheduler).num_drawn, 0);
  const StepPlan last = step(scheduler);
  EXPECT_EQ(last.num_drawn, 1);
  EXPECT_THAT(chunks(last), ElementsAre(FieldsAre(0, 200, 50)));
}

// A step takes 10 ms and 1 ms for each token: with two decodes 12, prolonged twice 24.
TEST_F(SchedulerTest, DecodesGoFirstAndPromptsFillThePredictedTime) {
  Scheduler scheduler(
      {.num_blocks = 40, .min_prompt_tokens = 1, .max_slowdown = 2, .cost = {.step_ms = 10, .token_ms = 1}});
  add(scheduler, 5, 50);
  add(scheduler, 6, 50);
  step(scheduler);
  add(scheduler, 250, 2);
  for (int i = 0; i < 8; i++) {
    EXPECT_THAT(chunks(step(scheduler)),
                ElementsAre(FieldsAre(0, 5 + i, 1), FieldsAre(1, 6 + i, 1), FieldsAre(2, 12 * i, 12)));
  }
}

// The same, but the first 20 prompt tokens only have to fit into max_step_ms, whoever they are of.
TEST_F(SchedulerTest, UnpacedPromptTokensMayMakeTheStepLonger) {
  Scheduler scheduler({.num_blocks = 40,
                       .min_prompt_tokens = 1,
                       .max_step_ms = 40,
                       .max_slowdown = 2,
                       .unpaced_prompt_tokens = 20,
                       .cost = {.step_ms = 10, .token_ms = 1}});
  add(scheduler, 5, 50);
  step(scheduler);
  add(scheduler, 15, 50);
  add(scheduler, 100, 50);
  EXPECT_THAT(chunks(step(scheduler)),
              ElementsAre(FieldsAre(0, 5, 1), FieldsAre(1, 0, 15), FieldsAre(2, 0, 5)));
  scheduler.set_cost({.step_ms = 10, .token_ms = 2});  // 40 ms are 15 tokens of which two decode
  EXPECT_THAT(chunks(step(scheduler)),
              ElementsAre(FieldsAre(0, 6, 1), FieldsAre(1, 15, 1), FieldsAre(2, 5, 13)));
}

TEST_F(SchedulerTest, ChunksBecomeShorterAsTheContextGrows) {
  Scheduler scheduler(
      {.num_blocks = 40, .min_prompt_tokens = 1, .max_step_ms = 1000, .cost = {.pair_ms = 1}});
  add(scheduler, 500, 2);
  std::vector<std::int32_t> lens;
  for (int i = 0; i < 4; i++) lens.push_back(step(scheduler).chunks[0].num_tokens);
  EXPECT_THAT(lens, ElementsAre(44, 18, 14, 12));  // the largest n with n * first + n * (n + 1) / 2 <= 1000
}

TEST_F(SchedulerTest, StepStaysShortAlsoAlone) {
  Scheduler scheduler({.num_blocks = 40, .max_step_ms = 100, .cost = {.step_ms = 10, .token_ms = 1}});
  add(scheduler, 250, 2);
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 0, 90)));
  scheduler.set_cost({.step_ms = 10, .token_ms = 0.5});
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 90, 160)));
}

TEST_F(SchedulerTest, DrawsAreCounted) {
  Scheduler scheduler(
      {.num_blocks = 40, .min_prompt_tokens = 1, .max_step_ms = 100, .cost = {.token_ms = 1, .draw_ms = 30}});
  add(scheduler, 80, 2);  // 110 ms with its draw
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 0, 79)));
}

// 20 decodes take 20 ms, more than a step should: prompts get half of that.
TEST_F(SchedulerTest, PromptGoesOnHoweverManyDecode) {
  Scheduler scheduler({.num_blocks = 400, .max_step_ms = 10, .min_slowdown = 1.5, .cost = {.token_ms = 1}});
  for (int i = 0; i < 20; i++) {
    add(scheduler, 1, 100);
    step(scheduler);
  }
  add(scheduler, 30, 2);
  const StepPlan plan = step(scheduler);
  ASSERT_EQ(plan.chunks.size(), 21U);
  EXPECT_EQ(plan.chunks.back().num_tokens, 10);
}

TEST_F(SchedulerTest, SomeStepsShowWhatDecodesTake) {
  Scheduler scheduler({.num_blocks = 40, .decodes_only_interval = 4});
  add(scheduler, 5, 50);
  step(scheduler);
  add(scheduler, 2000, 2);
  std::vector<std::size_t> num_chunks;
  for (int i = 0; i < 8; i++) num_chunks.push_back(step(scheduler).chunks.size());
  EXPECT_THAT(num_chunks, ElementsAre(2, 2, 2, 1, 2, 2, 2, 1));
}

// A cost that is far too high may be wrong: some tokens always go in, and their step corrects it.
TEST_F(SchedulerTest, PromptGoesOnWhateverIsPredicted) {
  Scheduler scheduler({.num_blocks = 400, .min_prompt_tokens = 3, .cost = {.token_ms = 1e9}});
  add(scheduler, 30, 2);
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 0, 3)));
}

TEST_F(SchedulerTest, SeveralPromptsShareAStep) {
  Scheduler scheduler({.num_blocks = 40, .max_prompt_tokens = 100});
  add(scheduler, 40, 2);
  add(scheduler, 40, 2);
  add(scheduler, 40, 2);
  EXPECT_THAT(chunks(step(scheduler)),
              ElementsAre(FieldsAre(0, 0, 40), FieldsAre(1, 0, 40), FieldsAre(2, 0, 20)));
}

TEST_F(SchedulerTest, BatchSizeIsKept) {
  Scheduler scheduler({.num_blocks = 40, .max_batch_size = 2});
  for (int i = 0; i < 3; i++) add(scheduler, 4, 2);
  step(scheduler);
  EXPECT_EQ(scheduler.num_running(), 2);
  EXPECT_EQ(scheduler.num_waiting(), 1);
  EXPECT_EQ(scheduler.num_waiting_tokens(), 4);
  step(scheduler);
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(2, 0, 4)));
  EXPECT_EQ(scheduler.num_waiting_tokens(), 0);
}

TEST_F(SchedulerTest, ShortRequestDoesNotOvertakeALongOne) {
  Scheduler scheduler({.num_blocks = 4});
  add(scheduler, 100, 50);                        // takes 2 of 4 blocks
  const Sequence& big = add(scheduler, 150, 10);  // needs 3
  const Sequence& small = add(scheduler, 4, 10);  // would fit
  step(scheduler);
  EXPECT_TRUE(big.block_table.empty());
  EXPECT_TRUE(small.block_table.empty());
  while (big.num_computed == 0) step(scheduler);
  EXPECT_EQ(sequences_[0]->finish_reason, FinishReason::length);
}

TEST_F(SchedulerTest, TheLastComerIsPreemptedAndKeepsItsTokens) {
  Scheduler scheduler({.num_blocks = 4, .block_len = 4});
  const Sequence& first = add(scheduler, 4, 12);
  const Sequence& second = add(scheduler, 2, 12);
  while (scheduler.num_preemptions() == 0) step(scheduler);
  EXPECT_TRUE(second.block_table.empty());
  EXPECT_EQ(second.num_computed, 0);
  EXPECT_GT(second.answer_len(), 0);
  const std::int32_t kept = second.len();
  EXPECT_EQ(scheduler.num_waiting_tokens(), kept);
  while (first.finish_reason == FinishReason::none) step(scheduler);
  const StepPlan plan = step(scheduler);  // prompt and answer so far, computed again in one go
  EXPECT_THAT(chunks(plan), ElementsAre(FieldsAre(1, 0, kept)));
  EXPECT_EQ(plan.num_drawn, 1);
  while (!scheduler.idle()) step(scheduler);
  EXPECT_EQ(second.answer_len(), 12);
  EXPECT_EQ(second.finish_reason, FinishReason::length);
}

TEST_F(SchedulerTest, AloneASequenceMayUseEveryBlock) {
  Scheduler scheduler({.num_blocks = 3, .block_len = 4});
  const Sequence& sequence = add(scheduler, 11, 1);
  step(scheduler);
  EXPECT_EQ(sequence.finish_reason, FinishReason::length);
  add(scheduler, 1, 11);
  while (!scheduler.idle()) step(scheduler);
  EXPECT_EQ(scheduler.num_preemptions(), 0U);
}

TEST_F(SchedulerTest, WhatCanNeverFitIsOurBug) {
  Scheduler scheduler({.num_blocks = 3, .block_len = 4});
  EXPECT_EQ(scheduler.max_len(), 12);
  EXPECT_THROW(add(scheduler, 6, 7), CheckFailure);
  EXPECT_THROW(add(scheduler, 6, 0), CheckFailure);
}

TEST_F(SchedulerTest, RemovedInEveryPhase) {
  Scheduler scheduler({.num_blocks = 40, .max_batch_size = 2, .max_prompt_tokens = 16});
  Sequence& decoding = add(scheduler, 4, 10);
  Sequence& prefilling = add(scheduler, 100, 10);
  Sequence& waiting = add(scheduler, 4, 10);
  step(scheduler);
  scheduler.remove(waiting, FinishReason::abort);
  EXPECT_EQ(scheduler.num_waiting_tokens(), 0);
  scheduler.remove(prefilling, FinishReason::abort);
  EXPECT_THAT(chunks(step(scheduler)), ElementsAre(FieldsAre(0, 4, 1)));
  scheduler.remove(decoding, FinishReason::abort);
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(scheduler.blocks().num_used(), 0);
  EXPECT_THROW(scheduler.remove(decoding, FinishReason::abort), CheckFailure);
}

TEST_F(SchedulerTest, ResetForgetsAll) {
  Scheduler scheduler({.num_blocks = 4, .max_batch_size = 1});
  add(scheduler, 4, 10);
  add(scheduler, 4, 10);
  step(scheduler);
  scheduler.reset();
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(scheduler.num_waiting_tokens(), 0);
  EXPECT_EQ(scheduler.blocks().num_used(), 0);
  scheduler.blocks().check_integrity();
}

}  // namespace
}  // namespace lmdeploy
