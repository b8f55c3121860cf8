// Aborts in each phase, the bounds of the queue, the end of the engine, and all of it at random.
#include <gtest/gtest.h>

#include <future>
#include <random>
#include <thread>

#include "engine/slow_engine.h"

namespace lmdeploy::testing {
namespace {

class EngineAbort : public SlowEngine {
 protected:
  void expect_base() {
    const EngineStats stats = engine_->stats();
    EXPECT_EQ(stats.num_running, 0);
    EXPECT_EQ(stats.num_waiting, 0);
    EXPECT_EQ(stats.num_used_blocks, 0);
  }
  void expect_aborted(int key) {
    const Answer got = answers_.wait(key);
    EXPECT_EQ(got.finish_reason, FinishReason::abort);
    EXPECT_EQ(got.num_last_calls, 1);
    EXPECT_EQ(got.num_later_calls, 0);
  }
};

TEST_F(EngineAbort, WhileDecoding) {
  start();
  const RequestId id = submit(*engine_, greedy_request({1}, 0), answers_, 0);
  answers_.wait_for_tokens(0, 3);
  engine_->abort(id);
  expect_aborted(0);
  expect_base();
}

TEST_F(EngineAbort, WhileThePromptIsComputed) {
  start({.max_prefill_token_num = 4});
  const RequestId id = submit(*engine_, greedy_request(some_prompt(1, 3000), 1), answers_, 0);
  ASSERT_TRUE(eventually([&] { return engine_->stats().num_running == 1; }));
  engine_->abort(id);
  expect_aborted(0);
  EXPECT_TRUE(answers_.all()[0].tokens.empty());
  expect_base();
}

TEST_F(EngineAbort, WhileWaiting) {
  start({.max_batch_size = 1});
  const RequestId running = submit(*engine_, greedy_request({1}, 0), answers_, 0);
  answers_.wait_for_tokens(0, 1);
  const RequestId waiting = submit(*engine_, greedy_request({2}, 0), answers_, 1);
  EXPECT_EQ(engine_->stats().num_waiting, 1);
  engine_->abort(waiting);
  expect_aborted(1);
  EXPECT_EQ(engine_->stats().num_waiting, 0);
  EXPECT_EQ(engine_->stats().num_running, 1);
  engine_->abort(running);
  expect_aborted(0);
  expect_base();
}

TEST_F(EngineAbort, RightAfterSubmit) {
  start();
  for (int i = 0; i < 50; i++) engine_->abort(submit(*engine_, greedy_request({1}, 0), answers_, i));
  for (int i = 0; i < 50; i++) expect_aborted(i);
  expect_base();
}

TEST_F(EngineAbort, WhatHasEndedOrNeverWasIsIgnored) {
  start();
  const RequestId id = submit(*engine_, greedy_request({1}, 2), answers_, 0);
  answers_.wait(0);
  engine_->abort(id);
  engine_->abort(id);
  engine_->abort(123'456);
  EXPECT_EQ(answer(*engine_, greedy_request({1}, 3)).tokens.size(), 3U);
  EXPECT_EQ(answers_.all()[0].finish_reason, FinishReason::length);
  EXPECT_EQ(answers_.all()[0].num_later_calls, 0);
}

TEST_F(EngineAbort, HalfOfManyLeaveTheOthersUntouched) {
  start();
  std::vector<RequestId> ids;
  for (int i = 0; i < 32; i++) ids.push_back(submit(*engine_, greedy_request({i}, 40), answers_, i));
  answers_.wait_for_tokens(31, 3);
  for (std::size_t i = 0; i < 32; i += 2) engine_->abort(ids[i]);
  for (int i = 0; i < 32; i += 2) expect_aborted(i);
  EXPECT_EQ(engine_->stats().num_running, 16);
  for (int i = 1; i < 32; i += 2) EXPECT_EQ(answers_.wait(i).tokens.size(), 40U);
  expect_base();
  for (int i = 1; i < 32; i += 2)
    EXPECT_EQ(answers_.wait(i).tokens, answer(*engine_, greedy_request({i}, 40)).tokens);
}

TEST_F(EngineAbort, EndOfTheEngineAbortsAll) {
  start({.max_batch_size = 4});
  for (int i = 0; i < 10; i++) submit(*engine_, greedy_request({i}, 0), answers_, i);
  answers_.wait_for_tokens(0, 1);
  engine_.reset();
  EXPECT_EQ(answers_.num_ended(), 10U);
  for (int i = 0; i < 10; i++) expect_aborted(i);
}

TEST_F(EngineAbort, QueueIsBoundedInRequests) {
  start({.max_batch_size = 2, .max_queue_len = 3});
  int num_taken = 0;
  std::vector<Rejected> rejections;
  for (int i = 0; i < 8; i++) {
    const SubmitResult result = engine_->submit(greedy_request({i}, 0), answers_.sink(i));
    if (const auto* rejected = std::get_if<Rejected>(&result)) {
      rejections.push_back(*rejected);
    } else {
      num_taken++;
    }
  }
  EXPECT_EQ(num_taken, 5);
  ASSERT_EQ(rejections.size(), 3U);
  EXPECT_EQ(rejections[0].reason, Rejected::Reason::queue_full);
  EXPECT_NE(rejections[0].message.find('3'), std::string::npos);
}

TEST_F(EngineAbort, QueueIsBoundedInPromptTokens) {
  start({.max_batch_size = 1, .max_queue_tokens = 100});
  submit(*engine_, greedy_request(some_prompt(0, 300), 0), answers_, 0);  // alone, longer than the bound
  answers_.wait_for_tokens(0, 1);
  submit(*engine_, greedy_request(some_prompt(0, 60), 0), answers_, 1);
  const SubmitResult result = engine_->submit(greedy_request(some_prompt(0, 60), 0), answers_.sink(2));
  ASSERT_TRUE(std::holds_alternative<Rejected>(result));
  EXPECT_EQ(std::get<Rejected>(result).reason, Rejected::Reason::queue_full);
  submit(*engine_, greedy_request(some_prompt(0, 40), 0), answers_, 3);
}

TEST_F(EngineAbort, IdleThreadSleeps) {
  start();
  answer(*engine_, greedy_request({1}, 3));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  timespec before{};
  timespec after{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const auto used_ns = (after.tv_sec - before.tv_sec) * 1'000'000'000 + after.tv_nsec - before.tv_nsec;
  EXPECT_LT(used_ns, 10'000'000);
}

Request stress_request(int key) {
  std::mt19937 random(static_cast<std::uint32_t>(key));
  const auto prompt_len = static_cast<int>(random() % 200) + 1;
  return greedy_request(some_prompt(key, prompt_len), static_cast<int>(random() % 150) + 1);
}

// The answer that the request has alone, or a beginning of it where it was aborted.
void expect_right(const Answer& got, const Request& request) {
  const FakeModel reference;
  std::vector<TokenId> ids = request.prompt_ids;
  for (const TokenId token : got.tokens) {
    ASSERT_EQ(token, reference.next_token(ids));
    ids.push_back(token);
  }
  EXPECT_EQ(got.num_last_calls, 1);
  EXPECT_EQ(got.num_later_calls, 0);
  EXPECT_EQ(got.error, "");
  if (got.finish_reason != FinishReason::abort) {
    EXPECT_EQ(got.finish_reason, FinishReason::length);
    EXPECT_EQ(got.tokens.size(), static_cast<std::size_t>(request.max_new_tokens));
  }
}

// Several clients submit and abort at random, on a pool far too small for them. Nobody is lost or called
// twice, and whatever was delivered is right. The first requests grow together beyond the pool, whatever the
// threads' luck: the model waits until all of them are there.
TEST(EngineStress, SubmitAndAbortFromManyThreads) {
  constexpr int kNumClients = 4;
  constexpr int kNumRequests = 60;
  constexpr int kNumFirst = 6;  // of 3 blocks each in the end
  Answers answers;
  std::promise<void> all_first_are_there;
  const auto start = all_first_are_there.get_future().share();
  TestEngine engine(
      std::make_unique<FakeModel>(FakeModelOptions{.on_forward = [start](const Batch&) { start.wait(); }}),
      {.max_batch_size = 8, .max_prefill_token_num = 50, .cache_bytes = 12 * kBlockBytes, .num_threads = 2});
  const auto first_request = [](int key) { return greedy_request(some_prompt(key, 1), 150); };
  constexpr int kFirstKey = kNumClients * kNumRequests;
  for (int key = kFirstKey; key < kFirstKey + kNumFirst; key++)
    submit(engine, first_request(key), answers, key);
  all_first_are_there.set_value();
  const auto run_client = [&](int client) {
    std::mt19937 random(static_cast<std::uint32_t>(client));
    for (int i = 0; i < kNumRequests; i++) {
      const int key = client * kNumRequests + i;
      const RequestId id = submit(engine, stress_request(key), answers, key);
      const auto what = random() % 6;
      if (what < 2) answers.wait_for_tokens(key, what);
      if (what < 3) engine.abort(id);
      if (what == 3) answers.wait(key);
    }
  };
  std::vector<std::thread> clients;
  for (int client = 0; client < kNumClients; client++) clients.emplace_back(run_client, client);
  for (std::thread& client : clients) client.join();
  for (int key = 0; key < kNumClients * kNumRequests; key++)
    expect_right(answers.wait(key), stress_request(key));
  for (int key = kFirstKey; key < kFirstKey + kNumFirst; key++)
    expect_right(answers.wait(key), first_request(key));
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.num_running + stats.num_waiting, 0);
  EXPECT_EQ(stats.num_used_blocks, 0);
  EXPECT_GT(stats.num_preemptions, 0U);
}

}  // namespace
}  // namespace lmdeploy::testing
