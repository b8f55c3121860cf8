#include "cli/bus_error.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

namespace lmdeploy::cli {
namespace {

// Only what is safe in a signal handler (signal-safety(7)).
void on_bus_error(int) {
  constexpr std::string_view kMessage =
      "lmdeploy: a file became shorter, or its disk failed, while it was read\n"
      "  Wait until the model's files are written, then start again.\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  _exit(1);
}

}  // namespace

void report_bus_errors() {
  struct sigaction action{};
  action.sa_handler = on_bus_error;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace lmdeploy::cli
