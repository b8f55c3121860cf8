#include "cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include "cli/byte_size.h"

namespace lmdeploy::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTerminalInterval{100};
constexpr std::chrono::milliseconds kPlainInterval{5000};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

ProgressLine::ProgressLine(std::string label)
    : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1), start_(Clock::now()) {}

ProgressLine::~ProgressLine() {
  if (written_ && terminal_) fmt::print(stderr, "\n");
}

void ProgressLine::update(std::int64_t done_bytes, std::int64_t total_bytes, const std::string& note) {
  const Clock::time_point now = Clock::now();
  const bool complete = done_bytes == total_bytes;
  if (start_bytes_ < 0) start_bytes_ = done_bytes;
  if (written_ && !complete && now - last_ < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  last_ = now;
  written_ = true;
  const double rate = static_cast<double>(done_bytes - start_bytes_) / std::max(seconds_since(start_), 1e-3);
  const int percent = total_bytes > 0 ? static_cast<int>(100 * done_bytes / total_bytes) : 100;
  const std::string line = fmt::format(
      "{}  {:3d} %  {} of {}  {}/s{}{}", label_, percent, format_bytes(done_bytes), format_bytes(total_bytes),
      format_bytes(static_cast<std::int64_t>(rate)), note.empty() ? "" : "  ", note);
  if (terminal_)
    fmt::print(stderr, "\r{}\x1b[K", line);
  else
    fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

}  // namespace lmdeploy::cli
