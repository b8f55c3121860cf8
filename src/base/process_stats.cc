#include "base/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "base/system_memory.h"

namespace lmdeploy {
namespace {

// The fields of /proc/self/stat after the program's name, which is the second and may hold anything. Numbered
// as proc_pid_stat(5) does: the first here is its field 3.
constexpr std::size_t kFirstField = 3;
constexpr std::size_t kUserTicks = 14 - kFirstField;
constexpr std::size_t kSystemTicks = 15 - kFirstField;
constexpr std::size_t kNumThreads = 20 - kFirstField;
constexpr std::size_t kStartTicks = 22 - kFirstField;  // since the machine's start
constexpr std::size_t kVirtualBytes = 23 - kFirstField;
constexpr std::size_t kNumFields = kVirtualBytes + 1;

std::array<std::uint64_t, kNumFields> stat_fields() {
  std::array<std::uint64_t, kNumFields> fields{};
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return fields;
  std::istringstream rest(text.substr(name_end + 1));
  std::string word;
  for (std::uint64_t& field : fields) {
    if (!(rest >> word)) break;
    std::istringstream(word) >> field;  // field 3, a letter, stays 0
  }
  return fields;
}

// Unix time of the machine's start; 0 where the kernel does not tell.
double boot_time_seconds() {
  std::ifstream file("/proc/stat");
  std::string key;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    double seconds = 0;
    if (words >> key && key == "btime" && words >> seconds) return seconds;
  }
  return 0;
}

std::int64_t count_open_fds() {
  std::error_code ec;
  const std::filesystem::directory_iterator fds("/proc/self/fd", ec);
  if (ec) return 0;
  return std::distance(begin(fds), end(fds)) - 1;  // one is the listing's own
}

std::int64_t max_open_fds() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return static_cast<std::int64_t>(limit.rlim_cur);
}

}  // namespace

ProcessStats read_process_stats() {
  const auto fields = stat_fields();
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {.resident_bytes = resident_memory_bytes(),
          .virtual_bytes = fields[kVirtualBytes],
          .num_threads = static_cast<std::int64_t>(fields[kNumThreads]),
          .num_open_fds = count_open_fds(),
          .max_fds = max_open_fds(),
          .cpu_seconds = static_cast<double>(fields[kUserTicks] + fields[kSystemTicks]) / ticks_per_second,
          .start_time_seconds =
              boot_time_seconds() + static_cast<double>(fields[kStartTicks]) / ticks_per_second};
}

}  // namespace lmdeploy
