#include "cli/descriptor_limit.h"

#include <sys/resource.h>

#include "base/log.h"

namespace lmdeploy::cli {
namespace {

constexpr rlim_t kOtherFiles = 64;  // the model's, the log, the listener

}  // namespace

void raise_descriptor_limit(std::int32_t num_connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  const bool raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (raised && limit.rlim_cur >= static_cast<rlim_t>(num_connections) + kOtherFiles) return;
  log::warn("this process may have {} open files, too few for --max-connections {}: see ulimit -n",
            limit.rlim_cur, num_connections);
}

}  // namespace lmdeploy::cli
