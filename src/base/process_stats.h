#pragma once
#include <cstdint>

namespace lmdeploy {

// What the kernel says of this process, for /metrics. A number that it does not tell is 0.
struct ProcessStats {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::int64_t num_threads = 0;
  std::int64_t num_open_fds = 0;
  std::int64_t max_fds = 0;       // the soft limit; 0 also where there is none
  double cpu_seconds = 0;         // user and system, of all threads
  double start_time_seconds = 0;  // unix time
};

ProcessStats read_process_stats();

}  // namespace lmdeploy
