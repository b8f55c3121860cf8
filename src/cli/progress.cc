#include "cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include "base/format_bytes.h"

namespace lmdeploy::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kTerminalInterval{100};
constexpr std::chrono::milliseconds kPlainInterval{5000};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

ProgressLine::ProgressLine(std::string label, Unit unit)
    : label_(std::move(label)), unit_(unit), terminal_(isatty(STDERR_FILENO) == 1), start_(Clock::now()) {}

ProgressLine::~ProgressLine() {
  if (written_ && terminal_) fmt::print(stderr, "\n");
}

std::string ProgressLine::amount(double value) const {
  return unit_ == Unit::bytes ? format_bytes(static_cast<std::int64_t>(value)) : fmt::format("{:.6g}", value);
}

void ProgressLine::update(std::int64_t done, std::int64_t total, const std::string& note) {
  const Clock::time_point now = Clock::now();
  const bool complete = done == total;
  if (start_done_ < 0) start_done_ = done;
  if (written_ && !complete && now - last_ < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  last_ = now;
  written_ = true;
  const double rate = static_cast<double>(done - start_done_) / std::max(seconds_since(start_), 1e-3);
  const auto percent = total > 0 ? 100 * done / total : 100;
  const std::string line =
      fmt::format("{}  {:3d} %  {} of {}  {}/s{}{}", label_, percent, amount(static_cast<double>(done)),
                  amount(static_cast<double>(total)), amount(rate), note.empty() ? "" : "  ", note);
  if (terminal_)
    fmt::print(stderr, "\r{}\x1b[K", line);
  else
    fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

}  // namespace lmdeploy::cli
