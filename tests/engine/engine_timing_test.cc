// Deadlines, and where a request's time went.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/slow_engine.h"

namespace lmdeploy::testing {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class EngineTiming : public SlowEngine {
 protected:
  void expect_timeout(int key) {
    const Answer got = answers_.wait(key);
    EXPECT_EQ(got.finish_reason, FinishReason::timeout);
    EXPECT_THAT(got.error, HasSubstr("time"));
    EXPECT_EQ(got.num_last_calls, 1);
    EXPECT_EQ(got.num_later_calls, 0);
  }
  static double total_ms(const RequestTimings& t) {
    return t.queued_ms + t.prefill_ms + t.decode_ms + t.preempted_ms;
  }
};

TEST_F(EngineTiming, DeadlineEndsWhatRunsAndWhatWaits) {
  start({.max_batch_size = 1});
  submit(*engine_, greedy_request({1}, 0), answers_, 0);
  answers_.wait_for_tokens(0, 1);
  Request request = greedy_request({2}, 0);
  request.deadline = Clock::now() + std::chrono::milliseconds(30);
  const RequestId waiting = submit(*engine_, request, answers_, 1);
  expect_timeout(1);
  EXPECT_GE(Clock::now(), request.deadline);
  EXPECT_TRUE(answers_.all()[1].tokens.empty());
  EXPECT_EQ(engine_->stats().num_waiting, 0);
  engine_->abort(waiting);  // ended: of no effect
  engine_->abort(answers_.all()[0].request_id);

  request.deadline = Clock::now() + std::chrono::milliseconds(60);
  submit(*engine_, request, answers_, 2);
  expect_timeout(2);
  EXPECT_GT(answers_.all()[2].tokens.size(), 0U);
  EXPECT_EQ(engine_->stats().num_used_blocks, 0);
  EXPECT_EQ(engine_->stats().num_running, 0);
}

TEST_F(EngineTiming, DeadlineThatHasPassedAlready) {
  start();
  Request request = greedy_request({2}, 0);
  request.deadline = Clock::now() - std::chrono::seconds(1);
  submit(*engine_, request, answers_, 0);
  expect_timeout(0);
  EXPECT_TRUE(answers_.all()[0].tokens.empty());
}

TEST_F(EngineTiming, WhoIsInTimeIsNotEnded) {
  start();
  Request request = greedy_request({2}, 5);
  request.deadline = Clock::now() + std::chrono::hours(1);
  EXPECT_EQ(answer(*engine_, request).finish_reason, FinishReason::length);
}

TEST_F(EngineTiming, PhasesAddUpToAllThatPassed) {
  start({.max_batch_size = 1, .max_prefill_token_num = 20});
  const auto begin = Clock::now();
  submit(*engine_, greedy_request(some_prompt(1, 100), 10), answers_, 0);
  submit(*engine_, greedy_request(some_prompt(2, 100), 10), answers_, 1);
  const RequestTimings first = answers_.wait(0).timings;
  const RequestTimings second = answers_.wait(1).timings;
  const double passed_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  // Five steps for the prompt and nine for the tokens after the first, one of which may have been computed
  // when the first is delivered.
  EXPECT_GE(first.prefill_ms, 5 * 2);
  EXPECT_GE(first.decode_ms, 8 * 2);
  EXPECT_GE(first.prefill_ms + first.decode_ms, 14 * 2);
  EXPECT_EQ(first.preempted_ms, 0);
  EXPECT_EQ(first.num_preemptions, 0);
  EXPECT_GE(second.queued_ms, 14 * 2);
  EXPECT_LE(total_ms(second), passed_ms);
}

TEST_F(EngineTiming, PreemptionsAreTold) {
  start({.cache_bytes = 4 * kBlockBytes});
  submit(*engine_, greedy_request(some_prompt(1, 60), 100), answers_, 0);
  submit(*engine_, greedy_request(some_prompt(2, 60), 100), answers_, 1);
  const RequestTimings first = answers_.wait(0).timings;
  const RequestTimings second = answers_.wait(1).timings;
  EXPECT_EQ(first.num_preemptions, 0);
  EXPECT_GE(second.num_preemptions, 1);
  EXPECT_GT(second.preempted_ms, 2);
  EXPECT_GT(second.num_computed_tokens, 159);
}

}  // namespace
}  // namespace lmdeploy::testing
