// One request at a time: what comes out, when it ends, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "base/error.h"
#include "engine/answers.h"
#include "engine/test_engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kBlockBytes = 512;  // of the fake model

std::unique_ptr<TestEngine> make_engine(EngineOptions options = {}, FakeModelOptions model = {}) {
  if (options.cache_bytes == 0) options.cache_bytes = 64 * kBlockBytes;
  options.num_threads = 1;
  return std::make_unique<TestEngine>(std::make_unique<FakeModel>(std::move(model)), options);
}

std::vector<TokenId> expected_greedy(const FakeModel& model, std::vector<TokenId> ids, int count) {
  const auto prompt_len = static_cast<std::ptrdiff_t>(ids.size());
  for (int i = 0; i < count; i++) ids.push_back(model.next_token(ids));
  return {ids.begin() + prompt_len, ids.end()};
}

Rejected rejection(Engine& engine, const Request& request) {
  const SubmitResult result = engine.submit(request, [](const Output&) { ADD_FAILURE() << "called"; });
  EXPECT_TRUE(std::holds_alternative<Rejected>(result));
  return std::holds_alternative<Rejected>(result) ? std::get<Rejected>(result) : Rejected{};
}

TEST(Engine, GreedyAnswerIsTheModels) {
  const auto engine = make_engine();
  for (const int len : {1, 2, 63, 64, 65, 127, 128, 129, 700}) {
    const auto prompt = some_prompt(len, len);
    const Answer got = answer(*engine, greedy_request(prompt, 70));
    EXPECT_EQ(got.tokens, expected_greedy(FakeModel(), prompt, 70)) << "prompt of " << len;
    EXPECT_EQ(got.finish_reason, FinishReason::length);
  }
}

TEST(Engine, StopTokenIsDeliveredAndEnds) {
  const auto engine = make_engine();
  Request request = greedy_request({7, 8, 9}, 50);
  const auto free_run = answer(*engine, request).tokens;
  request.stop_token_ids = {free_run[20]};
  const auto first = std::find(free_run.begin(), free_run.end(), free_run[20]);
  const Answer got = answer(*engine, request);
  EXPECT_EQ(got.finish_reason, FinishReason::stop);
  EXPECT_EQ(got.tokens, std::vector<TokenId>(free_run.begin(), first + 1));

  request.ignore_eos = true;
  const Answer ignored = answer(*engine, request);
  EXPECT_EQ(ignored.tokens, free_run);
  EXPECT_EQ(ignored.finish_reason, FinishReason::length);
}

TEST(Engine, StopTokensAreNotDrawnBeforeMinNewTokens) {
  const auto engine = make_engine();
  Request request = greedy_request({7, 8, 9}, 50);
  const auto free_run = answer(*engine, request).tokens;
  request.stop_token_ids = {free_run[0], free_run[1],
                            1'000'000};  // an id outside of the vocabulary is harmless
  request.min_new_tokens = 10;
  const Answer got = answer(*engine, request);
  ASSERT_GE(got.tokens.size(), 10U);
  for (std::size_t i = 0; i < 10; i++) {
    EXPECT_NE(got.tokens[i], free_run[0]);
    EXPECT_NE(got.tokens[i], free_run[1]);
  }
}

TEST(Engine, RepetitionPenaltyCoversPromptAndAnswer) {
  const auto engine = make_engine({}, {.vocab_size = 64, .loop_token = 5});
  Request request = greedy_request({5}, 20);
  EXPECT_EQ(answer(*engine, request).tokens, std::vector<TokenId>(20, 5));
  request.sampling.repetition_penalty = 1e6F;  // whatever was said has a logit of nearly zero
  const auto tokens = answer(*engine, request).tokens;
  std::set<TokenId> distinct(tokens.begin(), tokens.end());
  distinct.insert(5);
  EXPECT_EQ(distinct.size(), tokens.size() + 1);
}

TEST(Engine, SeedDecidesTheAnswer) {
  const auto engine = make_engine();
  Request request = greedy_request({3, 1, 4}, 40);
  request.sampling.temperature = 1;
  request.sampling.seed = 42;
  const auto first = answer(*engine, request).tokens;
  EXPECT_EQ(answer(*engine, request).tokens, first);
  request.sampling.seed = 43;
  EXPECT_NE(answer(*engine, request).tokens, first);
}

TEST(Engine, AnswerEndsAtTheSessionLength) {
  const auto engine = make_engine({.session_len = 100});
  EXPECT_EQ(engine->session_len(), 100);
  const Answer unlimited = answer(*engine, greedy_request(some_prompt(1, 90), 0));
  EXPECT_EQ(unlimited.tokens.size(), 10U);
  EXPECT_EQ(unlimited.finish_reason, FinishReason::length);
  EXPECT_EQ(answer(*engine, greedy_request(some_prompt(1, 90), 2'000'000'000)).tokens.size(), 10U);
  EXPECT_EQ(answer(*engine, greedy_request(some_prompt(1, 99), 0)).tokens.size(), 1U);
}

TEST(Engine, PromptThatCanNeverFitIsRefusedWithTheNumbers) {
  const auto engine = make_engine({.session_len = 100});
  const Rejected rejected = rejection(*engine, greedy_request(some_prompt(1, 100), 1));
  EXPECT_EQ(rejected.reason, Rejected::Reason::too_long);
  EXPECT_THAT(rejected.message, HasSubstr("100"));
}

TEST(Engine, SessionIsNoLongerThanTheCache) {
  const auto engine = make_engine({.cache_bytes = 3 * kBlockBytes + 100});
  EXPECT_EQ(engine->session_len(), 3 * 64);
  EXPECT_EQ(engine->stats().num_blocks, 3);
  EXPECT_EQ(answer(*engine, greedy_request(some_prompt(1, 150), 0)).tokens.size(), 42U);
  EXPECT_EQ(rejection(*engine, greedy_request(some_prompt(1, 192), 1)).reason, Rejected::Reason::too_long);
}

TEST(Engine, SessionDefaultsToTheModelsContext) {
  EXPECT_EQ(make_engine({}, {.max_position_embeddings = 1000})->session_len(), 1000);
}

TEST(Engine, NonsenseIsRefusedByName) {
  const auto engine = make_engine();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto expect_refused = [&](const char* name, auto change) {
    Request request = greedy_request({1, 2}, 5);
    change(request);
    const Rejected rejected = rejection(*engine, request);
    EXPECT_EQ(rejected.reason, Rejected::Reason::invalid) << name;
    EXPECT_THAT(rejected.message, HasSubstr(name));
  };
  expect_refused("empty", [](Request& r) { r.prompt_ids.clear(); });
  expect_refused("-1", [](Request& r) { r.prompt_ids[0] = -1; });
  expect_refused("64", [](Request& r) { r.prompt_ids[1] = 64; });
  expect_refused("max_new_tokens", [](Request& r) { r.max_new_tokens = -1; });
  expect_refused("min_new_tokens", [](Request& r) { r.min_new_tokens = -1; });
  expect_refused("temperature", [&](Request& r) { r.sampling.temperature = nan; });
  expect_refused("temperature", [](Request& r) { r.sampling.temperature = -0.1F; });
  expect_refused("top_k", [](Request& r) { r.sampling.top_k = -1; });
  expect_refused("top_p", [](Request& r) { r.sampling.top_p = 1.5F; });
  expect_refused("min_p", [&](Request& r) { r.sampling.min_p = nan; });
  expect_refused("repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = 0; });
  EXPECT_EQ(answer(*engine, greedy_request({1, 2}, 5)).tokens.size(), 5U);
}

TEST(Engine, CacheWithoutABlockIsAnError) {
  EXPECT_THROW(make_engine({.cache_bytes = kBlockBytes - 1}), Error);
}

TEST(Engine, StatsCount) {
  const auto engine = make_engine();
  answer(*engine, greedy_request(some_prompt(1, 100), 7));
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.num_prompt_tokens, 100U);
  EXPECT_EQ(stats.num_generated_tokens, 7U);
  EXPECT_EQ(stats.num_running, 0);
  EXPECT_EQ(stats.num_waiting, 0);
  EXPECT_EQ(stats.num_used_blocks, 0);
  EXPECT_EQ(stats.num_blocks, 64);
  EXPECT_EQ(stats.block_len, 64);
}

}  // namespace
}  // namespace lmdeploy::testing
