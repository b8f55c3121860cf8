#pragma once
#include <array>
#include <chrono>

#include "engine/request.h"

namespace lmdeploy {

// Divides the time of one request among its phases.
class RequestClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Phase : std::uint8_t { queued, prefill, decode, preempted };

  explicit RequestClock(Time now) : since_(now) {}

  Phase phase() const noexcept { return phase_; }

  void enter(Phase phase, Time now) noexcept {
    ms_[static_cast<std::size_t>(phase_)] += since(now);
    phase_ = phase;
    since_ = now;
  }

  // The milliseconds; the counts are the scheduler's.
  RequestTimings read(Time now) const noexcept {
    auto ms = ms_;
    ms[static_cast<std::size_t>(phase_)] += since(now);
    return {.queued_ms = ms[0], .prefill_ms = ms[1], .decode_ms = ms[2], .preempted_ms = ms[3]};
  }

 private:
  double since(Time now) const noexcept {
    return std::chrono::duration<double, std::milli>(now - since_).count();
  }

  Phase phase_ = Phase::queued;
  Time since_;
  std::array<double, 4> ms_ = {};
};

}  // namespace lmdeploy
