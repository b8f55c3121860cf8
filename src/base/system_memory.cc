#include "base/system_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

// What the two versions of the cgroup interface call the same things.
struct CgroupNames {
  const char* limit;
  const char* use;
  const char* droppable_cache;  // a key of memory.stat
};
constexpr CgroupNames kVersion2{"memory.max", "memory.current", "inactive_file"};
constexpr CgroupNames kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};

// The number after `key` on the line that begins with it: "VmRSS:   123 kB", "inactive_file 4096".
std::optional<std::uint64_t> number_after(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::uint64_t value = 0;
    if (fields >> word >> value && word == key) return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or "max"
}

std::optional<std::uint64_t> left_in_group(const fs::path& group, const CgroupNames& names) {
  const auto limit = number_in(group / names.limit);
  const auto used = number_in(group / names.use);
  if (!limit || !used) return std::nullopt;
  const std::uint64_t cache =
      std::min(number_after(group / "memory.stat", names.droppable_cache).value_or(0), *used);
  const std::uint64_t needed = *used - cache;
  return *limit > needed ? *limit - needed : 0;
}

// The least that `group` and the groups above it, up to `root`, leave. In a container the path may name a
// folder of the host that is not visible; the walk then meets the container's own at the root.
std::optional<std::uint64_t> left_up_to_root(const fs::path& root, const fs::path& group,
                                             const CgroupNames& names) {
  std::optional<std::uint64_t> least;
  for (fs::path relative = group.relative_path();; relative = relative.parent_path()) {
    if (const auto left = left_in_group(root / relative, names))
      least = std::min(least.value_or(*left), *left);
    if (relative.empty()) return least;
  }
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::optional<std::uint64_t> cgroup_available_bytes(const fs::path& mount, const std::string& memberships) {
  std::optional<std::uint64_t> least;
  const auto consider = [&](const std::optional<std::uint64_t>& left) {
    if (left) least = std::min(least.value_or(*left), *left);
  };
  std::istringstream lines(memberships);
  for (std::string line; std::getline(lines, line);) {  // "4:memory:/group" (v1) or "0::/group" (v2)
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") consider(left_up_to_root(mount, group, kVersion2));
    if (controllers.find(",memory,") != std::string::npos)
      consider(left_up_to_root(mount / "memory", group, kVersion1));
  }
  return least;
}

std::uint64_t available_memory_bytes() {
  const auto machine_kib = number_after("/proc/meminfo", "MemAvailable:");
  const std::uint64_t machine = machine_kib ? *machine_kib * 1024 : std::numeric_limits<std::uint64_t>::max();
  const auto group = cgroup_available_bytes("/sys/fs/cgroup", text_of("/proc/self/cgroup"));
  return std::min(machine, group.value_or(machine));
}

std::uint64_t resident_memory_bytes() {
  return number_after("/proc/self/status", "VmRSS:").value_or(0) * 1024;
}

}  // namespace lmdeploy
