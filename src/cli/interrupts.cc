#include "cli/interrupts.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

// A signal handler gets no argument of ours, hence a variable of the file: per signal the pipe's end, or 0.
std::array<volatile sig_atomic_t, NSIG> pipe_ends;

void on_signal(int signal) {
  const int saved_errno = errno;
  const char byte = 0;
  [[maybe_unused]] const auto written = write(pipe_ends[static_cast<std::size_t>(signal)], &byte, 1);
  errno = saved_errno;
}

}  // namespace

SignalPipe::SignalPipe(std::initializer_list<int> signals) : signals_(signals) {
  for (const int signal : signals_) CHECK(pipe_ends.at(static_cast<std::size_t>(signal)) == 0, "{}", signal);
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0)
    throw Error("cannot make a pipe", "Raise the limit of open files.");
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (const int signal : signals_) {
    pipe_ends[static_cast<std::size_t>(signal)] = pipe_[1];
    sigaction(signal, &action, nullptr);
  }
}

SignalPipe::~SignalPipe() {
  for (const int signal : signals_) {
    ::signal(signal, SIG_DFL);
    pipe_ends[static_cast<std::size_t>(signal)] = 0;
  }
  close(pipe_[0]);
  close(pipe_[1]);
}

bool SignalPipe::take() {
  char bytes[16];
  bool any = false;
  while (read(pipe_[0], bytes, sizeof bytes) > 0) any = true;
  return any;
}

Interrupts::Interrupts() : SignalPipe({SIGINT}) {}

}  // namespace lmdeploy::cli
