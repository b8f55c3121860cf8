#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(SamplingState, CarriesTheParameters) {
  Request request;
  request.prompt_ids = {1};
  request.sampling = {.temperature = 0.5F, .top_k = 3, .top_p = 0.9F, .min_p = 0.1F, .seed = 77};
  const SamplingState state(request, 10);
  const ops::SamplingRow row = state.row();
  EXPECT_EQ(row.temperature, 0.5F);
  EXPECT_EQ(row.top_k, 3);
  EXPECT_EQ(row.top_p, 0.9F);
  EXPECT_EQ(row.min_p, 0.1F);
  EXPECT_EQ(row.seed, 77U);
  EXPECT_EQ(row.draw, 0U);
  EXPECT_THAT(row.banned_ids, IsEmpty());
}

TEST(SamplingState, DrawsAreNumbered) {
  Request request;
  request.prompt_ids = {1};
  SamplingState state(request, 10);
  for (std::uint64_t i = 0; i < 5; i++) {
    EXPECT_EQ(state.row().draw, i);
    state.accept(3);
  }
}

TEST(SamplingState, PenalizedIdsAreDistinctAndGrow) {
  Request request;
  request.prompt_ids = {4, 2, 4, 4};
  request.sampling.repetition_penalty = 1.2F;
  SamplingState state(request, 10);
  EXPECT_THAT(state.row().penalized_ids, UnorderedElementsAre(2, 4));
  state.accept(2);
  state.accept(9);
  EXPECT_THAT(state.row().penalized_ids, UnorderedElementsAre(2, 4, 9));
  EXPECT_EQ(state.row().repetition_penalty, 1.2F);
}

TEST(SamplingState, WithoutAPenaltyNothingIsKept) {
  Request request;
  request.prompt_ids = {4, 2};
  SamplingState state(request, 10);
  state.accept(1);
  EXPECT_THAT(state.row().penalized_ids, IsEmpty());
}

TEST(SamplingState, CountsTheAnswerOnly) {
  Request request;
  request.prompt_ids = {4, 2};
  request.sampling.frequency_penalty = 0.5F;
  SamplingState state(request, 10);
  EXPECT_THAT(state.row().answer_counts, IsEmpty());
  for (const TokenId token : {7, 2, 7, 7}) state.accept(token);
  const ops::SamplingRow row = state.row();
  ASSERT_EQ(row.answer_counts.size(), 2U);
  EXPECT_EQ(row.answer_counts[0].id, 7);
  EXPECT_EQ(row.answer_counts[0].count, 3);
  EXPECT_EQ(row.answer_counts[1].id, 2);
  EXPECT_EQ(row.answer_counts[1].count, 1);
  EXPECT_THAT(row.penalized_ids, IsEmpty());
}

TEST(SamplingState, BadWordsAreBannedBesideStopTokens) {
  Request request;
  request.prompt_ids = {1, 5};
  request.stop_token_ids = {9};
  request.min_new_tokens = 2;
  request.bad_words = {{3}, {5, 6}};
  SamplingState state(request, 10);
  EXPECT_THAT(state.row().banned_ids, UnorderedElementsAre(9, 3));  // the prompt's 5 does not count
  state.accept(5);
  EXPECT_THAT(state.row().banned_ids, UnorderedElementsAre(9, 3, 6));
  state.accept(5);
  EXPECT_THAT(state.row().banned_ids, UnorderedElementsAre(3, 6));
}

TEST(SamplingState, LogprobsAreAskedForOnlyWhereWanted) {
  Request request;
  request.prompt_ids = {1};
  request.num_top_logprobs = 5;
  EXPECT_FALSE(SamplingState(request, 10).draw().logprob);
  EXPECT_EQ(SamplingState(request, 10).draw().num_top, 0);
  request.logprobs = true;
  EXPECT_TRUE(SamplingState(request, 10).draw().logprob);
  EXPECT_EQ(SamplingState(request, 10).draw().num_top, 5);
}

TEST(SamplingState, StopTokensAreBannedUntilMinNewTokens) {
  Request request;
  request.prompt_ids = {1};
  request.stop_token_ids = {5, -3, 10, 11, 6};  // 10 and more are outside of the vocabulary
  request.min_new_tokens = 2;
  SamplingState state(request, 10);
  EXPECT_THAT(state.row().banned_ids, ElementsAre(5, 6));
  state.accept(1);
  EXPECT_THAT(state.row().banned_ids, ElementsAre(5, 6));
  state.accept(1);
  EXPECT_THAT(state.row().banned_ids, IsEmpty());
}

}  // namespace
}  // namespace lmdeploy
