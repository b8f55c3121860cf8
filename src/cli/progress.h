#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace lmdeploy::cli {

// One line on stderr that says how far a long job is: rewritten in place on a terminal, a new line every few
// seconds elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(std::string label);
  ~ProgressLine();  // ends the line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Bytes done and in all; `note` stands behind them. Cheap enough to be called for every piece.
  void update(std::int64_t done_bytes, std::int64_t total_bytes, const std::string& note = {});

 private:
  std::string label_;
  bool terminal_;
  bool written_ = false;
  std::chrono::steady_clock::time_point start_, last_;
  std::int64_t start_bytes_ = -1;  // what an earlier run had done already
};

}  // namespace lmdeploy::cli
