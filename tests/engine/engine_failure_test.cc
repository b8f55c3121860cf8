// What goes wrong in a step ends in the answers of those concerned, and the engine goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <stdexcept>

#include "base/error.h"
#include "engine/answers.h"
#include "engine/test_engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kBlockBytes = 512;  // of the fake model
constexpr TokenId kPoison = 7;

std::unique_ptr<TestEngine> make_engine(FakeModelOptions model) {
  return std::make_unique<TestEngine>(std::make_unique<FakeModel>(std::move(model)),
                                      EngineOptions{.cache_bytes = 100 * kBlockBytes, .num_threads = 1});
}

void expect_base(const Engine& engine) {
  EXPECT_EQ(engine.stats().num_running + engine.stats().num_waiting, 0);
  EXPECT_EQ(engine.stats().num_used_blocks, 0);
}

// A model that throws when the poison is in the batch, in the way that `fail` throws.
FakeModelOptions poisonable(void (*fail)()) {
  FakeModelOptions model;
  model.on_forward = [fail](const Batch& batch) {
    if (std::find(batch.token_ids.begin(), batch.token_ids.end(), kPoison) != batch.token_ids.end()) fail();
  };
  return model;
}

void expect_survives(void (*fail)(), const char* message) {
  Answers answers;
  const auto engine = make_engine(poisonable(fail));
  for (int round = 0; round < 5; round++) {
    submit(*engine, greedy_request({1, kPoison, 2}, 5), answers, round);
    const Answer failed = answers.wait(round);
    EXPECT_EQ(failed.finish_reason, FinishReason::error);
    EXPECT_THAT(failed.error, HasSubstr(message));
    EXPECT_EQ(failed.num_last_calls, 1);
    EXPECT_TRUE(failed.tokens.empty());
    expect_base(*engine);
  }
  EXPECT_TRUE(engine->healthy());
  EXPECT_EQ(answer(*engine, greedy_request({0}, 1)).finish_reason, FinishReason::length);
}

TEST(EngineFailure, ErrorInAStep) {
  expect_survives([] { throw Error("the disk is gone"); }, "the disk is gone");
}

TEST(EngineFailure, CheckInAStep) {
  expect_survives([] { CHECK(false, "a bug"); }, "a bug");
}

TEST(EngineFailure, NoMemoryInAStep) {
  expect_survives([] { throw std::bad_alloc(); }, "bad_alloc");
}

TEST(EngineFailure, OnlyTheFailedStepIsConcerned) {
  FakeModelOptions model = poisonable([] { throw std::runtime_error("poisoned"); });
  model.step_time = std::chrono::milliseconds(1);
  model.vocab_size = 64;
  Answers answers;
  // One runs at a time, so the poisoned step holds no other request.
  TestEngine engine(std::make_unique<FakeModel>(model),
                    {.max_batch_size = 1, .cache_bytes = 100 * kBlockBytes, .num_threads = 1});
  submit(engine, greedy_request({kPoison}, 5), answers, 0);
  submit(engine, greedy_request({1}, 1), answers, 1);
  EXPECT_EQ(answers.wait(0).finish_reason, FinishReason::error);
  EXPECT_EQ(answers.wait(1).finish_reason, FinishReason::length);
}

TEST(EngineFailure, LogitsThatAreNotNumbersEndOnlyTheirRequest) {
  Answers answers;
  const auto engine = make_engine({.step_time = std::chrono::milliseconds(1), .nan_token = kPoison});
  Request good = greedy_request({1}, 30);
  good.stop_token_ids = {kPoison};
  good.min_new_tokens = 100;  // never draws the poison itself
  submit(*engine, good, answers, 0);
  answers.wait_for_tokens(0, 2);
  submit(*engine, greedy_request({1, 2, kPoison}, 30), answers, 1);
  const Answer bad = answers.wait(1);
  EXPECT_EQ(bad.finish_reason, FinishReason::error);
  EXPECT_THAT(bad.error, HasSubstr("not numbers"));
  EXPECT_EQ(answers.wait(0).tokens.size(), 30U);
  EXPECT_TRUE(engine->healthy());
  expect_base(*engine);
}

TEST(EngineFailure, ReceiverThatThrowsLosesOnlyItsOwnRequest) {
  Answers answers;
  const auto engine = make_engine({.step_time = std::chrono::milliseconds(1)});
  submit(*engine, greedy_request({1}, 30), answers, 0);
  std::atomic<int> num_calls{0};
  std::atomic<bool> ended{false};
  engine->submit(greedy_request({2}, 1000), [&](const Output& output) {
    if (output.finish_reason == FinishReason::abort) ended = true;
    if (++num_calls == 3) throw std::runtime_error("the client is gone");
  });
  EXPECT_EQ(answers.wait(0).tokens.size(), 30U);
  EXPECT_TRUE(eventually([&] { return ended.load(); }));
  EXPECT_EQ(num_calls, 4);
  expect_base(*engine);
}

TEST(EngineFailure, BrokenModelIsRefusedAndTriedAgain) {
  std::atomic<bool> broken{false};
  FakeModelOptions model;
  model.step_time = std::chrono::milliseconds(1);
  model.on_forward = [&](const Batch&) {
    if (broken) throw Error("the device has fallen off the bus");
  };
  Answers answers;
  const auto engine = make_engine(model);
  for (int i = 0; i < 4; i++) submit(*engine, greedy_request({i}, 0), answers, i);
  answers.wait_for_tokens(3, 2);
  broken = true;
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(answers.wait(i).finish_reason, FinishReason::error);
    EXPECT_THAT(answers.wait(i).error, HasSubstr("fallen off"));
  }
  ASSERT_TRUE(eventually([&] { return !engine->healthy(); }));
  const SubmitResult result = engine->submit(greedy_request({1}, 1), answers.sink(10));
  ASSERT_TRUE(std::holds_alternative<Rejected>(result));
  EXPECT_EQ(std::get<Rejected>(result).reason, Rejected::Reason::unhealthy);
  expect_base(*engine);

  broken = false;
  ASSERT_TRUE(eventually([&] { return engine->healthy(); }));
  EXPECT_EQ(answer(*engine, greedy_request({1}, 3)).tokens.size(), 3U);
}

}  // namespace
}  // namespace lmdeploy::testing
