#include "cli/terminal.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace lmdeploy::cli {
namespace {

constexpr const char* kPrompt = "double enter to end input >>>";

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

StandardTerminal::StandardTerminal(ChatHistory history)
    : input_is_terminal_(isatty(STDIN_FILENO) == 1),
      output_is_terminal_(isatty(STDOUT_FILENO) == 1),
      editor_(LineEditor::make(interrupts_, std::move(history))) {}

ReplTerminal::Read StandardTerminal::read_line(std::string& line) {
  if (editor_) return editor_->read_line(std::exchange(prompt_, {}), line);
  while (!take_line(line)) {
    if (input_ended_) {
      line = std::move(buffered_);
      buffered_.clear();
      return line.empty() ? Read::end : Read::line;
    }
    switch (fill()) {
      case Fill::more:
        break;
      case Fill::interrupted:
        buffered_.clear();
        return Read::interrupted;
      case Fill::end:
        input_ended_ = true;
        break;
    }
  }
  return Read::line;
}

bool StandardTerminal::take_line(std::string& line) {
  const std::size_t end = buffered_.find('\n');
  if (end == std::string::npos) return false;
  line = buffered_.substr(0, end);
  if (line.ends_with('\r')) line.pop_back();
  buffered_.erase(0, end + 1);
  return true;
}

StandardTerminal::Fill StandardTerminal::fill() {
  std::array<pollfd, 2> waits{{{STDIN_FILENO, POLLIN, 0}, {interrupts_.descriptor(), POLLIN, 0}}};
  while (poll(waits.data(), waits.size(), -1) < 0 && errno == EINTR) {
  }
  if (interrupts_.take()) return Fill::interrupted;
  std::array<char, 4096> bytes;
  const ssize_t num_bytes = read(STDIN_FILENO, bytes.data(), bytes.size());
  if (num_bytes < 0 && errno == EINTR) return Fill::more;
  if (num_bytes <= 0) return Fill::end;
  buffered_.append(bytes.data(), static_cast<std::size_t>(num_bytes));
  return Fill::more;
}

void StandardTerminal::prompt() {
  if (!input_is_terminal_) return;
  if (editor_) prompt_ = kPrompt;
  if (editor_) return print("\n");
  print(output_is_terminal_ ? fmt::format("\n\x1b[1m{}\x1b[0m ", kPrompt) : fmt::format("\n{} ", kPrompt));
}

void StandardTerminal::remember(const std::string& message) {
  if (editor_) editor_->remember(message);
}

void StandardTerminal::write(std::string_view text) {
  print(output_is_terminal_ ? visible_controls(text) : std::string(text));
}

void StandardTerminal::note(const std::string& text) {
  std::fflush(stdout);
  const bool colour = isatty(STDERR_FILENO) == 1;
  const std::string shown = colour ? visible_controls(text) : text;
  const bool has_lines = shown.find('\n') != std::string::npos;
  fmt::print(stderr, "{}{}{}{}{}\n", colour ? "\x1b[2m" : "", has_lines ? "" : "[", shown,
             has_lines ? "" : "]", colour ? "\x1b[0m" : "");
}

std::string visible_controls(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

}  // namespace lmdeploy::cli
