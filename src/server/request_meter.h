#pragma once
#include <chrono>
#include <cstdint>

#include "server/metrics.h"

namespace lmdeploy {

// Follows one answer from its submission on, for /metrics. Used where the answer's tokens arrive (a strand).
class RequestMeter {
 public:
  struct Asked {
    std::int32_t num_prompt_tokens = 0;
    std::int32_t max_new_tokens = 0;  // 0: not asked
  };
  // Without metrics it does nothing.
  RequestMeter(Metrics* metrics, const Asked& asked);

  // Every output of the engine, the last also where the answer has ended before it (a stop string).
  void on_output(const Output& output);

  // The answer has ended for its reader. Only the first call counts.
  void on_end(FinishReason reason);

 private:
  using Clock = std::chrono::steady_clock;

  Metrics* metrics_;
  const Asked asked_;
  Clock::time_point submitted_;
  Clock::time_point last_token_;
  std::int32_t num_generated_tokens_ = 0;
  bool ended_ = false;
};

}  // namespace lmdeploy
