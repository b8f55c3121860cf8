#include "cli/answer_stats.h"

#include <fmt/core.h>

namespace lmdeploy::cli {
namespace {

constexpr double kMinSeconds = 0.02;  // what comes at once has no speed

}  // namespace

void AnswerClock::on_text() {
  last_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (!first_) first_ = last_;
}

std::string answer_stats(const AnswerTokens& tokens, std::optional<double> seconds_to_first,
                         double seconds_first_to_last) {
  std::string line;
  const auto add = [&](const std::string& part) { line += (line.empty() ? "" : ", ") + part; };
  if (tokens.answer) add(fmt::format("{} token{}", *tokens.answer, *tokens.answer == 1 ? "" : "s"));
  if (tokens.answer && *tokens.answer > 1 && seconds_first_to_last > kMinSeconds)
    add(fmt::format("{:.1f} tokens/s", static_cast<double>(*tokens.answer - 1) / seconds_first_to_last));
  if (seconds_to_first) add(fmt::format("time to first token {:.3f} s", *seconds_to_first));
  if (tokens.prompt) add(fmt::format("{} prompt tokens", *tokens.prompt));
  if (tokens.cached) add(fmt::format("{} cached tokens", *tokens.cached));
  if (!tokens.answer) add("tokens unknown: the server sent no counts");
  return line;
}

}  // namespace lmdeploy::cli
