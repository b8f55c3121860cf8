// The same answer whatever the company: alone, in a batch, in chunks, after preemptions.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "engine/answers.h"
#include "engine/test_engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kBlockBytes = 512;  // of the fake model

void add_rarer_options(Request& request, const std::function<int(int)>& below) {
  if (below(3) == 0) request.sampling.presence_penalty = 0.5F;
  if (below(3) == 0) request.sampling.frequency_penalty = 0.3F;
  if (below(4) == 0) request.sampling.typical_p = 0.8F;
  if (below(3) == 0) request.logit_bias = {{below(32), 2}, {32 + below(32), -50}};
  if (below(3) == 0) request.bad_words = {{below(64)}, {below(64), below(64)}};
  request.logprobs = below(2) == 0;
  request.prompt_logprobs = below(4) == 0;
  request.num_top_logprobs = below(4);
}

std::vector<Request> random_requests(std::uint32_t seed, int count, int max_prompt_len, int max_answer_len) {
  std::mt19937 random(seed);
  const auto below = [&](int end) { return static_cast<int>(random() % static_cast<std::uint32_t>(end)); };
  std::vector<Request> requests;
  for (int i = 0; i < count; i++) {
    Request request =
        greedy_request(some_prompt(below(1000), below(max_prompt_len) + 1), below(max_answer_len) + 1);
    if (i % 2 == 1) {
      request.sampling = {.temperature = 0.7F + 0.1F * static_cast<float>(below(10)),
                          .top_k = below(2) * 20,
                          .top_p = below(2) == 0 ? 1.F : 0.9F,
                          .repetition_penalty = below(2) == 0 ? 1.F : 1.3F,
                          .seed = random()};
      request.stop_token_ids = {below(64)};
      request.min_new_tokens = below(5);
    }
    add_rarer_options(request, below);
    requests.push_back(std::move(request));
  }
  return requests;
}

std::vector<Answer> answers_alone(const std::vector<Request>& requests) {
  TestEngine engine(std::make_unique<FakeModel>(),
                    {.max_batch_size = 1, .cache_bytes = 100 * kBlockBytes, .num_threads = 1});
  std::vector<Answer> result;
  for (const Request& request : requests) result.push_back(answer(engine, request));
  return result;
}

// All at once under these options; every answer must equal the one alone.
EngineStats expect_same_together(const std::vector<Request>& requests, EngineOptions options) {
  const std::vector<Answer> alone = answers_alone(requests);
  Answers answers;
  options.num_threads = 1;
  TestEngine engine(std::make_unique<FakeModel>(), options);
  for (std::size_t i = 0; i < requests.size(); i++) submit(engine, requests[i], answers, static_cast<int>(i));
  for (std::size_t i = 0; i < requests.size(); i++) {
    const Answer together = answers.wait(static_cast<int>(i));
    EXPECT_EQ(together.tokens, alone[i].tokens) << "request " << i;
    EXPECT_EQ(together.logprobs, alone[i].logprobs) << "request " << i;
    EXPECT_EQ(together.top_logprobs, alone[i].top_logprobs) << "request " << i;
    EXPECT_EQ(together.prompt_scores, alone[i].prompt_scores) << "request " << i;
    EXPECT_EQ(together.finish_reason, alone[i].finish_reason) << "request " << i;
    EXPECT_EQ(together.error, "");
  }
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.num_running + stats.num_waiting, 0);
  EXPECT_EQ(stats.num_used_blocks, 0);
  return stats;
}

TEST(EngineBatch, ManyAtOnce) {
  const EngineStats stats =
      expect_same_together(random_requests(1, 48, 400, 120), {.cache_bytes = 1000 * kBlockBytes});
  EXPECT_EQ(stats.num_preemptions, 0U);
}

TEST(EngineBatch, PromptsInSmallChunks) {
  for (const int chunk_len : {1, 7, 64, 100})
    expect_same_together(random_requests(2, 12, 300, 30),
                         {.max_prefill_token_num = chunk_len, .cache_bytes = 1000 * kBlockBytes});
}

TEST(EngineBatch, SmallBatchLongQueue) {
  expect_same_together(random_requests(3, 40, 100, 40),
                       {.max_batch_size = 3, .cache_bytes = 100 * kBlockBytes});
}

TEST(EngineBatch, Preempted) {
  auto requests = random_requests(4, 40, 30, 500);
  for (Request& request : requests) request.stop_token_ids.clear();
  const EngineStats stats = expect_same_together(requests, {.cache_bytes = 9 * kBlockBytes});
  EXPECT_GT(stats.num_preemptions, 10U);
}

TEST(EngineBatch, PreemptedPromptsCountOnce) {
  const auto requests = random_requests(5, 30, 100, 400);
  std::uint64_t num_prompt_tokens = 0;
  for (const Request& request : requests) num_prompt_tokens += request.prompt_ids.size();
  const EngineStats stats = expect_same_together(requests, {.cache_bytes = 16 * kBlockBytes});
  EXPECT_GT(stats.num_preemptions, 0U);
  EXPECT_EQ(stats.num_prompt_tokens, num_prompt_tokens);
}

TEST(EngineBatch, ArrivingWhileOthersRun) {
  const auto requests = random_requests(6, 30, 300, 60);
  const auto alone = answers_alone(requests);
  Answers answers;
  TestEngine engine(
      std::make_unique<FakeModel>(FakeModelOptions{.step_time = std::chrono::microseconds(100)}),
      {.cache_bytes = 60 * kBlockBytes, .num_threads = 1});
  for (std::size_t i = 0; i < requests.size(); i++) {
    submit(engine, requests[i], answers, static_cast<int>(i));
    if (i % 3 == 0) answers.wait_for_tokens(static_cast<int>(i), 1);
  }
  for (std::size_t i = 0; i < requests.size(); i++)
    EXPECT_EQ(answers.wait(static_cast<int>(i)).tokens, alone[i].tokens) << "request " << i;
}

// How long the pauses are is the policy's, and tested there.
TEST(EngineBatch, RunningAnswersGoOnWhileALongPromptComes) {
  constexpr int kPromptLen = 3000;
  std::atomic<bool> began{false};
  std::atomic<int> num_mixed_steps{0};
  FakeModelOptions model;
  model.on_forward = [&](const Batch& batch) {
    if (batch.token_ids.size() > 1) began = true;
    if (began && batch.context_lens.size() == 2) num_mixed_steps++;
    std::this_thread::sleep_for(std::chrono::microseconds(10 * batch.token_ids.size()));
  };
  Answers answers;
  TestEngine engine(std::make_unique<FakeModel>(model), {.cache_bytes = 100 * kBlockBytes, .num_threads = 1});
  submit(engine, greedy_request({1}, 0), answers, 0);
  const auto before = answers.wait_for_tokens(0, 1).tokens.size();
  submit(engine, greedy_request(some_prompt(1, kPromptLen), 1), answers, 1);
  answers.wait(1);
  EXPECT_GE(num_mixed_steps, kPromptLen / 512);
  EXPECT_GE(answers.all()[0].tokens.size() - before, static_cast<std::size_t>(kPromptLen / 512));
}

}  // namespace
}  // namespace lmdeploy::testing
