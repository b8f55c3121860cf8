#include "cli/interrupts.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

// A signal handler gets no argument of ours, hence a variable of the file.
volatile sig_atomic_t pipe_end = -1;

void on_interrupt(int) {
  const int saved_errno = errno;
  const char byte = 0;
  [[maybe_unused]] const auto written = write(pipe_end, &byte, 1);
  errno = saved_errno;
}

}  // namespace

Interrupts::Interrupts() {
  CHECK(pipe_end == -1, "Interrupts exist already");
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0)
    throw Error("cannot make a pipe", "Raise the limit of open files.");
  pipe_end = pipe_[1];
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
}

Interrupts::~Interrupts() {
  signal(SIGINT, SIG_DFL);
  pipe_end = -1;
  close(pipe_[0]);
  close(pipe_[1]);
}

bool Interrupts::take() {
  char bytes[16];
  bool any = false;
  while (read(pipe_[0], bytes, sizeof bytes) > 0) any = true;
  return any;
}

}  // namespace lmdeploy::cli
