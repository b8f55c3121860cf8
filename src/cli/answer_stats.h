#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace lmdeploy::cli {

// What an answer took, as far as the one who answered said it.
struct AnswerTokens {
  std::optional<std::int64_t> answer, prompt, cached;  // cached: of the prompt, not computed again
};

// When the pieces of an answer came, in seconds since it was asked for.
class AnswerClock {
 public:
  void on_text();

  std::optional<double> first() const noexcept { return first_; }  // empty: no text came
  // First to last piece.
  double spread() const noexcept { return first_ ? last_ - *first_ : 0; }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<double> first_;
  double last_ = 0;
};

// One line: tokens, tokens per second, time to first token, tokens of the prompt, those of them in the cache.
// The first token has no speed of its own: n tokens are n - 1 in the time from the first to the last.
std::string answer_stats(const AnswerTokens& tokens, std::optional<double> seconds_to_first,
                         double seconds_first_to_last);

}  // namespace lmdeploy::cli
