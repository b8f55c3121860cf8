// Log probabilities of answers and prompts are the model's own, whatever else happens to the request.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/answers.h"
#include "engine/test_engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

void expect_score(std::span<const TokenId> prefix, const TokenScore& score, std::size_t num_top) {
  const std::vector<double> expected = FakeModel().logprobs_after(prefix);
  EXPECT_NEAR(score.logprob, expected[static_cast<std::size_t>(score.token)], 1e-5) << prefix.size();
  std::vector<double> largest = expected;
  std::sort(largest.begin(), largest.end(), std::greater<>());
  ASSERT_EQ(score.top.size(), num_top);
  for (std::size_t i = 0; i < num_top; i++) {
    EXPECT_NEAR(score.top[i].logprob, largest[i], 1e-5);
    EXPECT_NEAR(score.top[i].logprob, expected[static_cast<std::size_t>(score.top[i].token)], 1e-5);
  }
}

void expect_prompt_scores(const std::vector<TokenId>& prompt, const Answer& answer, std::size_t num_top) {
  EXPECT_EQ(answer.num_prompt_scores, 1);
  ASSERT_EQ(answer.prompt_scores.size(), prompt.size() - 1);
  for (std::size_t i = 1; i < prompt.size(); i++) {
    ASSERT_EQ(answer.prompt_scores[i - 1].token, prompt[i]);
    expect_score(std::span(prompt).first(i), answer.prompt_scores[i - 1], num_top);
  }
}

Request scored_request(std::vector<TokenId> prompt, std::int32_t max_new_tokens) {
  Request request = greedy_request(std::move(prompt), max_new_tokens);
  request.prompt_logprobs = true;
  request.num_top_logprobs = 3;
  return request;
}

TEST(EngineLogprobs, OfAnAnswerAreBeforeAllThatShapesTheDraw) {
  TestEngine engine(std::make_unique<FakeModel>(), {.cache_bytes = 1 << 20, .num_threads = 1});
  Request request = greedy_request({5, 6}, 30);
  request.sampling = {.temperature = 1.7F,
                      .top_k = 9,
                      .repetition_penalty = 1.5F,
                      .presence_penalty = 1,
                      .frequency_penalty = 1,
                      .seed = 3};
  request.logit_bias = {{4, 3}, {9, -100}};
  request.bad_words = {{11}};
  request.logprobs = true;
  request.num_top_logprobs = kMaxTopLogprobs;
  const Answer got = answer(engine, request);
  std::vector<TokenId> prefix = request.prompt_ids;
  ASSERT_EQ(got.tokens.size(), 30U);
  for (std::size_t i = 0; i < got.tokens.size(); i++) {
    expect_score(prefix, {got.tokens[i], got.logprobs[i], got.top_logprobs[i]}, 20);
    prefix.push_back(got.tokens[i]);
  }
  EXPECT_EQ(got.num_prompt_scores, 0);
}

TEST(EngineLogprobs, WhoDoesNotAskGetsNone) {
  TestEngine engine(std::make_unique<FakeModel>(), {.cache_bytes = 1 << 20, .num_threads = 1});
  Request request = greedy_request({5, 6}, 5);
  request.num_top_logprobs = 4;  // beside logprobs only
  const Answer got = answer(engine, request);
  EXPECT_EQ(got.logprobs, std::vector<float>(5, 0.0F));
  for (const auto& top : got.top_logprobs) EXPECT_TRUE(top.empty());
}

TEST(EngineLogprobs, OfAPromptInChunksOfAnyLength) {
  const std::vector<TokenId> prompt = some_prompt(1, 700);
  for (const int chunk_len : {1, 63, 129, 1000}) {
    TestEngine engine(std::make_unique<FakeModel>(),
                      {.max_prefill_token_num = chunk_len, .cache_bytes = 1 << 20, .num_threads = 1});
    expect_prompt_scores(prompt, answer(engine, scored_request(prompt, 2)), 3);
  }
}

TEST(EngineLogprobs, OfAPromptOfOneToken) {
  TestEngine engine(std::make_unique<FakeModel>(), {.cache_bytes = 1 << 20, .num_threads = 1});
  const Answer got = answer(engine, scored_request({7}, 2));
  EXPECT_EQ(got.num_prompt_scores, 1);
  EXPECT_TRUE(got.prompt_scores.empty());
}

TEST(EngineLogprobs, OfAPromptAlthoughItIsCached) {
  TestEngine engine(std::make_unique<FakeModel>(), {.cache_bytes = 1 << 20, .num_threads = 1});
  const std::vector<TokenId> prompt = some_prompt(2, 300);
  answer(engine, greedy_request(prompt, 2));
  for (int i = 0; i < 2; i++) expect_prompt_scores(prompt, answer(engine, scored_request(prompt, 2)), 3);
}

// Answers that grow take the blocks of a long prompt that is still being computed, more than once.
TEST(EngineLogprobs, OfAPromptThatIsPreemptedOnTheWay) {
  constexpr std::int64_t kBlockBytes = 512;  // of the fake model
  TestEngine engine(std::make_unique<FakeModel>(),
                    {.max_prefill_token_num = 16, .cache_bytes = 16 * kBlockBytes, .num_threads = 1});
  Answers answers;
  for (int i = 0; i < 8; i++) submit(engine, greedy_request({i}, 400), answers, i);
  const std::vector<TokenId> prompt = some_prompt(9, 300);
  for (int i = 8; i < 12; i++) submit(engine, scored_request(prompt, 5), answers, i);
  for (int i = 8; i < 12; i++) expect_prompt_scores(prompt, answers.wait(i), 3);
  EXPECT_GT(engine.stats().num_preemptions, 0U);
}

TEST(EngineLogprobs, APromptByItselfIsOnlyScored) {
  TestEngine engine(std::make_unique<FakeModel>(), {.cache_bytes = 1 << 20, .num_threads = 1});
  Request request = scored_request(some_prompt(3, 100), 0);
  request.prompt_only = true;
  request.stop_token_ids = {FakeModel().next_token(request.prompt_ids)};
  const Answer got = answer(engine, request);
  EXPECT_TRUE(got.tokens.empty());
  EXPECT_EQ(got.finish_reason, FinishReason::length);
  expect_prompt_scores(request.prompt_ids, got, 3);
  EXPECT_EQ(engine.stats().num_generated_tokens, 0U);
  EXPECT_EQ(engine.stats().num_prompt_tokens, 100U);
}

TEST(EngineLogprobs, OfAPromptNeverHoldMoreThanSomeRowsOfLogits) {
  std::atomic<std::size_t> most_rows{0};
  FakeModelOptions model;
  model.on_forward = [&](const Batch& batch) {
    most_rows = std::max(most_rows.load(), batch.logits_rows.size());
  };
  TestEngine engine(std::make_unique<FakeModel>(model), {.cache_bytes = 1 << 20, .num_threads = 1});
  Answers answers;
  for (int i = 0; i < 3; i++) submit(engine, scored_request(some_prompt(i, 1000), 20), answers, i);
  for (int i = 0; i < 3; i++) expect_prompt_scores(some_prompt(i, 1000), answers.wait(i), 3);
  EXPECT_LE(most_rows, 129U);
}

}  // namespace
}  // namespace lmdeploy::testing
