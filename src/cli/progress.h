#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace lmdeploy::cli {

// One line on stderr that says how far a long job is: rewritten in place on a terminal, a new line every few
// seconds elsewhere.
class ProgressLine {
 public:
  enum class Unit : std::uint8_t { bytes, count };
  explicit ProgressLine(std::string label, Unit unit = Unit::bytes);
  ~ProgressLine();  // ends the line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // What is done, and of how much; `note` stands behind them. Cheap enough to be called for every piece.
  void update(std::int64_t done, std::int64_t total, const std::string& note = {});

 private:
  std::string amount(double value) const;

  std::string label_;
  Unit unit_;
  bool terminal_;
  bool written_ = false;
  std::chrono::steady_clock::time_point start_, last_;
  std::int64_t start_done_ = -1;  // what an earlier run had done already
};

}  // namespace lmdeploy::cli
