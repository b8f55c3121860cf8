// The prefix cache through the engine: the same answers with and without it, and what requests learn of it.
#include <gtest/gtest.h>

#include <random>

#include "engine/answers.h"
#include "engine/test_engine.h"
#include "model/registry.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kBlockBytes = 512;  // of the fake model

Engine fake_engine(EngineOptions options = {}, FakeModelOptions model = {}) {
  if (options.cache_bytes == 0) options.cache_bytes = 100 * kBlockBytes;
  options.num_threads = 1;
  return {std::make_unique<FakeModel>(std::move(model)), options};
}

// Prompts of which many begin alike, some with an answer and go on, as a chat's next turn does.
std::vector<Request> chatty_requests(std::uint32_t seed, int count, std::int32_t vocab_size, int max_len) {
  std::mt19937 random(seed);
  const auto below = [&](int end) { return static_cast<int>(random() % static_cast<std::uint32_t>(end)); };
  std::vector<Request> requests;
  for (int i = 0; i < count; i++) {
    std::vector<TokenId> ids = some_prompt(below(3), below(max_len) + 1, vocab_size);
    const auto tail = some_prompt(1000 + i, below(max_len / 2), vocab_size);
    if (below(3) > 0) ids.insert(ids.end(), tail.begin(), tail.end());
    Request request = greedy_request(std::move(ids), below(max_len) + 1);
    if (i % 3 == 0) request.sampling = {.temperature = 1, .seed = random()};
    request.logprobs = true;
    if (i % 5 == 0) request.cache_salt = "another key";
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Outcome {
  std::vector<Answer> answers;
  EngineStats stats;
};

Outcome run(Engine& engine, const std::vector<Request>& requests) {
  Answers answers;
  Outcome result;
  for (std::size_t i = 0; i < requests.size(); i++) submit(engine, requests[i], answers, static_cast<int>(i));
  for (std::size_t i = 0; i < requests.size(); i++)
    result.answers.push_back(answers.wait(static_cast<int>(i)));
  result.stats = engine.stats();
  EXPECT_EQ(result.stats.num_used_blocks, 0);
  return result;
}

void expect_same(const Outcome& one, const Outcome& two) {
  for (std::size_t i = 0; i < one.answers.size(); i++) {
    EXPECT_EQ(one.answers[i].tokens, two.answers[i].tokens) << "request " << i;
    EXPECT_EQ(one.answers[i].logprobs, two.answers[i].logprobs) << "request " << i;
    EXPECT_EQ(one.answers[i].finish_reason, two.answers[i].finish_reason) << "request " << i;
  }
}

TEST(EngineCache, SameAnswersWithAndWithout) {
  for (const std::int64_t num_blocks : {1000, 40, 12}) {
    SCOPED_TRACE(num_blocks);
    const auto requests = chatty_requests(1, 60, 64, 300);
    const auto run_with = [&](bool enabled) {
      Engine engine =
          fake_engine({.cache_bytes = num_blocks * kBlockBytes, .enable_prefix_caching = enabled});
      return run(engine, requests);
    };
    const Outcome on = run_with(true);
    const Outcome off = run_with(false);
    expect_same(on, off);
    EXPECT_GT(on.stats.num_cache_hit_tokens, 0U);
    EXPECT_EQ(off.stats.num_cache_hit_tokens, 0U);
    EXPECT_EQ(off.stats.num_cached_blocks, 0);
    if (num_blocks == 1000) {
      EXPECT_LT(on.stats.num_computed_tokens, off.stats.num_computed_tokens);
    }
  }
}

// With a real model's arithmetic, bit for bit: also where a prefix was computed in other chunks.
class RealModelCache : public ::testing::TestWithParam<std::int32_t> {  // bits of the KV cache
 protected:
  Outcome run_with(EngineOptions options, std::int64_t num_blocks) {
    ThreadPool pool(1);
    Workspace workspace(host_allocator());
    Ctx ctx;
    ctx.pool = &pool;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace;
    LoadOptions load_options;
    load_options.session_len = 512;
    load_options.kv_bits = GetParam();
    load_options.calibration_ids = some_prompt(7, 100, 60);
    auto model = load_model(ctx, LMDEPLOY_SOURCE_DIR "/tests/golden/models/qwen2", load_options);
    options.session_len = 512;
    options.num_threads = 1;
    options.cache_bytes = num_blocks * KvPool::block_bytes(model->info().kv_layout, model->info().num_layers);
    TestEngine engine(std::move(model), options);
    return run(engine, requests_);
  }

  std::vector<Request> requests_ = chatty_requests(2, 24, 60, 200);
};

TEST_P(RealModelCache, SameLogprobsWithAndWithout) {
  const Outcome off = run_with({.max_prefill_token_num = 512, .enable_prefix_caching = false}, 60);
  const Outcome on = run_with({.max_prefill_token_num = 512}, 60);
  expect_same(on, off);
  expect_same(run_with({.max_prefill_token_num = 13}, 60), off);
  EXPECT_GT(on.stats.num_cache_hit_tokens, 500U);
}

TEST_P(RealModelCache, SameLogprobsAloneAndPreempted) {
  const Outcome alone = run_with({.max_batch_size = 1, .enable_prefix_caching = false}, 60);
  const Outcome preempted = run_with({}, 9);
  expect_same(preempted, alone);
  EXPECT_GT(preempted.stats.num_preemptions, 0U);
}

INSTANTIATE_TEST_SUITE_P(KvBits, RealModelCache, ::testing::Values(0, 8, 4));

TEST(EngineCache, RequestsLearnWhatWasCached) {
  Engine engine = fake_engine();
  const Request request = greedy_request(some_prompt(1, 200), 5);
  const Answer miss = answer(engine, request);
  EXPECT_EQ(miss.timings.num_cached_tokens, 0);
  EXPECT_EQ(miss.timings.num_computed_tokens, 204);
  const Answer hit = answer(engine, request);
  EXPECT_EQ(hit.timings.num_cached_tokens, 192);
  EXPECT_EQ(hit.timings.num_computed_tokens, 12);
  EXPECT_EQ(hit.tokens, miss.tokens);
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.num_cache_query_tokens, 400U);
  EXPECT_EQ(stats.num_cache_hit_tokens, 192U);
  EXPECT_EQ(stats.num_computed_tokens, 216U);
  EXPECT_EQ(stats.num_cached_blocks, 3);
  EXPECT_EQ(stats.num_used_blocks, 0);
}

TEST(EngineCache, NextTurnFindsTheAnswer) {
  Engine engine = fake_engine();
  Request request = greedy_request(some_prompt(1, 100), 100);
  const auto tokens = answer(engine, request).tokens;
  request.prompt_ids.insert(request.prompt_ids.end(), tokens.begin(), tokens.end());
  request.prompt_ids.push_back(3);
  EXPECT_EQ(answer(engine, request).timings.num_cached_tokens, 192);
}

TEST(EngineCache, SaltsShareNothing) {
  Engine engine = fake_engine();
  Request request = greedy_request(some_prompt(1, 200), 5);
  request.cache_salt = "anna";
  answer(engine, request);
  for (const char* other : {"bert", ""}) {
    request.cache_salt = other;
    EXPECT_EQ(answer(engine, request).timings.num_cached_tokens, 0);
  }
  request.cache_salt = "anna";
  EXPECT_EQ(answer(engine, request).timings.num_cached_tokens, 192);
}

TEST(EngineCache, SamePromptsAtOnceAreComputedOnce) {
  Engine engine = fake_engine({.max_prefill_token_num = 50}, {.step_time = std::chrono::microseconds(200)});
  const std::vector<Request> requests(8, greedy_request(some_prompt(1, 1000), 1));
  const Outcome got = run(engine, requests);
  EXPECT_EQ(got.stats.num_computed_tokens, 1000U + 7 * (1000 - 960));
}

TEST(EngineCache, PromptLogprobsAreComputedWhateverIsCached) {
  Engine engine = fake_engine();
  Request request = greedy_request(some_prompt(1, 200), 5);
  answer(engine, request);
  request.prompt_logprobs = true;
  EXPECT_EQ(answer(engine, request).timings.num_cached_tokens, 0);
  EXPECT_EQ(engine.stats().num_cache_query_tokens, 200U);
}

// What failed in a step is in no state to be shared.
TEST(EngineCache, FailedStepLeavesNothingBehind) {
  std::atomic<bool> fails{true};
  FakeModelOptions model;
  model.on_forward = [&](const Batch& batch) {
    if (fails && batch.token_ids.size() > 1) throw std::runtime_error("failed");
  };
  Engine engine = fake_engine({}, model);
  const Request request = greedy_request(some_prompt(1, 200), 5);
  EXPECT_EQ(answer(engine, request).finish_reason, FinishReason::error);
  EXPECT_EQ(engine.stats().num_cached_blocks, 0);
  fails = false;
  EXPECT_EQ(answer(engine, request).timings.num_cached_tokens, 0);
}

}  // namespace
}  // namespace lmdeploy::testing
