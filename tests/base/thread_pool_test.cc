#include "base/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace lmdeploy {
namespace {

// More threads than cores on purpose: a preempted worker is the case that goes wrong.
const std::vector<int> kSizes = {1, 2, 3, 8};

TEST(ThreadPool, CountsTheCaller) {
  EXPECT_EQ(ThreadPool(1).num_threads(), 1);
  EXPECT_EQ(ThreadPool(5).num_threads(), 5);
  EXPECT_EQ(ThreadPool().num_threads(), ThreadPool::num_usable_cpus());
  EXPECT_GE(ThreadPool::num_usable_cpus(), 1);
}

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int size : kSizes) {
    ThreadPool pool(size);
    for (const int num_tasks : {0, 1, 2, 3, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(num_tasks));
      pool.parallel_for(num_tasks, [&](std::int64_t i, int thread_idx) {
        runs[static_cast<std::size_t>(i)]++;
        if (thread_idx < 0 || thread_idx >= size) runs[static_cast<std::size_t>(i)] = -1;
      });
      for (const auto& count : runs) ASSERT_EQ(count.load(), 1) << size << " threads, " << num_tasks;
    }
  }
}

TEST(ThreadPool, APoolThatSkipsRunsNothing) {
  ThreadPool pool(3, ThreadPool::Tasks::skip);
  EXPECT_EQ(pool.num_threads(), 3);
  for (const int num_tasks : {0, 1, 1000})
    pool.parallel_for(num_tasks, [](std::int64_t, int) { FAIL() << "a task ran"; });
}

TEST(ThreadPool, AThreadIndexIsNeverUsedTwiceAtOnce) {
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  std::vector<std::atomic<int>> inside(kThreads);
  std::atomic<bool> shared{false};
  pool.parallel_for(2000, [&](std::int64_t, int thread_idx) {
    auto& mine = inside[static_cast<std::size_t>(thread_idx)];
    if (mine.fetch_add(1) != 0) shared = true;
    std::this_thread::yield();
    mine.fetch_sub(1);
  });
  EXPECT_FALSE(shared);
}

// The results of one loop are plain memory for the next: the pool orders them.
TEST(ThreadPool, ALoopSeesWhatTheLoopBeforeWrote) {
  ThreadPool pool(3);
  constexpr std::int64_t kSize = 257;
  std::vector<std::int64_t> values(kSize, 0);
  for (std::int64_t round = 0; round < 3000; round++) {
    std::vector<std::int64_t> next(kSize);
    pool.parallel_for(kSize, [&](std::int64_t i, int) {
      next[static_cast<std::size_t>(i)] = values[static_cast<std::size_t>((i + 1) % kSize)] + 1;
    });
    values.swap(next);
  }
  EXPECT_THAT(values, ::testing::Each(3000));
}

TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; round++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than workers spin
    std::atomic<std::int64_t> sum{0};
    pool.parallel_for(100, [&](std::int64_t i, int) { sum += i; });
    ASSERT_EQ(sum.load(), 4950);
  }
}

TEST(ThreadPool, EveryThreadHelpsWhereTasksWaitForEachOther) {
  constexpr int kThreads = 3;
  ThreadPool pool(kThreads);
  std::atomic<int> arrived{0};
  std::vector<int> thread_of(kThreads, -1);
  pool.parallel_for(kThreads, [&](std::int64_t i, int thread_idx) {
    thread_of[static_cast<std::size_t>(i)] = thread_idx;
    arrived++;
    while (arrived < kThreads) std::this_thread::yield();
  });
  EXPECT_EQ(std::set<int>(thread_of.begin(), thread_of.end()).size(), static_cast<std::size_t>(kThreads));
}

TEST(ThreadPool, ThrowsWhatATaskThrewAndGoesOn) {
  for (const int size : kSizes) {
    ThreadPool pool(size);
    for (int round = 0; round < 50; round++) {
      const auto failing = [&](std::int64_t i, int) {
        if (i == 7) throw std::runtime_error("task 7");
      };
      EXPECT_THROW(pool.parallel_for(64, failing), std::runtime_error);
      std::atomic<int> count{0};
      pool.parallel_for(64, [&](std::int64_t, int) { count++; });
      ASSERT_EQ(count.load(), 64);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsWhileOthersKeepTheCoresBusy) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int i = 0; i < ThreadPool::num_usable_cpus(); i++)
    others.emplace_back([&stop] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  ThreadPool pool(2);
  std::atomic<std::int64_t> sum{0};
  for (int round = 0; round < 500; round++)
    pool.parallel_for(8, [&](std::int64_t i, int) { sum.fetch_add(i, std::memory_order_relaxed); });
  stop = true;
  for (auto& other : others) other.join();
  EXPECT_EQ(sum.load(), 500 * 28);
}

TEST(ThreadPool, StartsAndEndsQuickly) {
  for (int round = 0; round < 200; round++) {
    ThreadPool pool(4);
    if (round % 2 == 0) continue;  // also without a single loop
    std::atomic<int> count{0};
    pool.parallel_for(4, [&](std::int64_t, int) { count++; });
    ASSERT_EQ(count.load(), 4);
  }
}

}  // namespace
}  // namespace lmdeploy
