#include "base/system_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace lmdeploy {
namespace {

// "MemAvailable:   123 kB" in /proc/meminfo, "VmRSS:  123 kB" in /proc/self/status.
std::optional<std::uint64_t> kib_line(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line))
    if (line.rfind(key, 0) == 0) return std::stoull(line.substr(key.size())) * 1024;
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const char* path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or "max"
}

}  // namespace

std::uint64_t available_memory_bytes() {
  std::uint64_t available =
      kib_line("/proc/meminfo", "MemAvailable:").value_or(std::numeric_limits<std::uint64_t>::max());
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit > *used ? *limit - *used : 0);
  return available;
}

std::uint64_t resident_memory_bytes() {
  return kib_line("/proc/self/status", "VmRSS:").value_or(0);
}

}  // namespace lmdeploy
