#include "base/task_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace lmdeploy {
namespace {

TEST(TaskThreads, OneThreadKeepsTheOrder) {
  std::vector<int> seen;
  std::promise<void> done;
  TaskThreads threads(1);
  for (int i = 0; i < 100; i++) threads.post([&seen, i] { seen.push_back(i); });
  threads.post([&done] { done.set_value(); });
  done.get_future().wait();
  ASSERT_EQ(seen.size(), 100U);
  for (int i = 0; i < 100; i++) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(TaskThreads, SeveralThreadsRunATaskEach) {
  std::promise<void> first, second;
  const std::shared_future<void> first_ran = first.get_future(), second_ran = second.get_future();
  TaskThreads threads(2);
  threads.post(
      {[&] { first.set_value(), second_ran.wait(); }, [&] { second.set_value(), first_ran.wait(); }});
  first_ran.wait();
  second_ran.wait();
}

TEST(TaskThreads, TheEndWaitsForWhatRunsAndKeepsNothing) {
  const auto held = std::make_shared<int>(0);
  std::promise<void> started, release;
  std::atomic<bool> has_ended{false};
  std::optional<TaskThreads> threads(1);
  threads->post([&] {
    started.set_value();
    release.get_future().wait();
    has_ended = true;
  });
  started.get_future().wait();
  threads->post([held] { ++*held; });
  std::thread ending([&] {
    threads.reset();
    EXPECT_TRUE(has_ended);
  });
  release.set_value();
  ending.join();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace lmdeploy
