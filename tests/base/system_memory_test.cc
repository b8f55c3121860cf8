#include "base/system_memory.h"

#include <gtest/gtest.h>
#include <sys/sysinfo.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "support/temp_folder.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

TEST(SystemMemory, AvailableIsBelowWhatTheMachineHas) {
  struct sysinfo info{};
  ASSERT_EQ(sysinfo(&info), 0);
  EXPECT_GT(available_memory_bytes(), 0U);
  EXPECT_LE(available_memory_bytes(), std::uint64_t{info.totalram} * info.mem_unit);
}

TEST(SystemMemory, ResidentMemoryGrowsWithWhatIsTouched) {
  constexpr std::uint64_t kBytes = std::uint64_t{64} << 20;
  const std::uint64_t before = resident_memory_bytes();
  ASSERT_GT(before, 0U);
  const auto data = std::make_unique_for_overwrite<char[]>(kBytes);
  std::memset(data.get(), 1, kBytes);
  EXPECT_GE(resident_memory_bytes(), before + kBytes / 2);
}

// A stand-in for /sys/fs/cgroup.
class CgroupTree : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& content) const {
    folder_.write(path, content + "\n");
  }

  const testing::TempFolder folder_;
  const std::filesystem::path mount_ = folder_.path();
};

TEST_F(CgroupTree, NoGroupsNoLimit) {
  EXPECT_FALSE(cgroup_available_bytes(mount_, "0::/\n"));
  EXPECT_FALSE(cgroup_available_bytes(mount_, ""));
  EXPECT_FALSE(cgroup_available_bytes(mount_, "not a cgroup file"));
}

TEST_F(CgroupTree, Version2SubtractsUseButNotCacheThatCanGo) {
  write("memory.max", "1000000");
  write("memory.current", "700000");
  write("memory.stat", "anon 300000\nfile 400000\ninactive_file 250000\nactive_file 150000");
  EXPECT_EQ(cgroup_available_bytes(mount_, "0::/\n"), 550000U);
}

TEST_F(CgroupTree, TheTightestGroupOnTheWayUpCounts) {
  write("memory.current", "100");
  write("memory.max", "max");
  write("system.slice/memory.max", "5000");
  write("system.slice/memory.current", "1000");
  write("system.slice/llm.service/memory.max", "9000");
  write("system.slice/llm.service/memory.current", "500");
  EXPECT_EQ(cgroup_available_bytes(mount_, "0::/system.slice/llm.service\n"), 4000U);
}

TEST_F(CgroupTree, UseAboveTheLimitLeavesNothing) {
  write("memory.max", "1000");
  write("memory.current", "1200");
  EXPECT_EQ(cgroup_available_bytes(mount_, "0::/\n"), 0U);
}

TEST_F(CgroupTree, Version1ByItsOwnNames) {
  write("memory/docker/abc/memory.limit_in_bytes", "8000");
  write("memory/docker/abc/memory.usage_in_bytes", "3000");
  write("memory/docker/abc/memory.stat", "inactive_file 1\ntotal_inactive_file 1000");
  EXPECT_EQ(cgroup_available_bytes(mount_, "9:cpu,cpuacct:/\n4:memory:/docker/abc\n0::/\n"), 6000U);
}

TEST_F(CgroupTree, AHostPathThatAContainerCannotSeeFallsBackToItsRoot) {
  write("memory/memory.limit_in_bytes", "8000");
  write("memory/memory.usage_in_bytes", "3000");
  EXPECT_EQ(cgroup_available_bytes(mount_, "4:memory:/docker/abc\n"), 5000U);
}

}  // namespace
}  // namespace lmdeploy
