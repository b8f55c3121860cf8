#include "base/process_stats.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "base/system_memory.h"

namespace lmdeploy {
namespace {

TEST(ProcessStats, CountsOpenDescriptorsAndThreads) {
  std::thread([] {}).join();  // with the first one ThreadSanitizer starts its own
  const ProcessStats before = read_process_stats();
  const int fd = open("/dev/null", O_RDONLY);
  std::jthread thread([](const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
  });
  const ProcessStats during = read_process_stats();
  close(fd);
  EXPECT_EQ(during.num_open_fds, before.num_open_fds + 1);
  EXPECT_EQ(during.num_threads, before.num_threads + 1);
  EXPECT_EQ(read_process_stats().num_open_fds, before.num_open_fds);
  EXPECT_GT(before.num_open_fds, 2);
  EXPECT_GE(before.max_fds, before.num_open_fds);
}

TEST(ProcessStats, MemoryThatIsTouchedIsResident) {
  constexpr std::size_t kNumBytes = 32 << 20;
  const ProcessStats before = read_process_stats();
  const std::vector<char> touched(kNumBytes, 1);
  const ProcessStats after = read_process_stats();
  EXPECT_GE(after.resident_bytes, before.resident_bytes + kNumBytes / 2);
  EXPECT_GE(after.virtual_bytes, after.resident_bytes);
  EXPECT_NEAR(static_cast<double>(after.resident_bytes), static_cast<double>(resident_memory_bytes()),
              8 << 20);
  EXPECT_EQ(touched.back(), 1);
}

TEST(ProcessStats, CpuTimePassesWhileItComputes) {
  const ProcessStats before = read_process_stats();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (read_process_stats().cpu_seconds <= before.cpu_seconds)
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(ProcessStats, StartedNotLongAgoAndNotInTheFuture) {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const double started = read_process_stats().start_time_seconds;
  EXPECT_LT(started, now + 1);
  EXPECT_GT(started, now - 3600);
}

}  // namespace
}  // namespace lmdeploy
