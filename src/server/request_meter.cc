#include "server/request_meter.h"

namespace lmdeploy {

RequestMeter::RequestMeter(Metrics* metrics, const Asked& asked) : metrics_(metrics), asked_(asked) {
  if (metrics_ != nullptr) submitted_ = Clock::now();
}

void RequestMeter::on_output(const Output& output) {
  if (metrics_ == nullptr) return;
  if (output.finish_reason != FinishReason::none) metrics_->computed(output.timings);
  if (ended_ || output.token < 0) return;
  const auto now = Clock::now();
  if (num_generated_tokens_++ == 0)
    metrics_->first_token(now - submitted_);
  else
    metrics_->next_token(now - last_token_);
  last_token_ = now;
}

void RequestMeter::on_end(FinishReason reason) {
  if (metrics_ == nullptr || ended_) return;
  ended_ = true;
  metrics_->answered({.finish_reason = reason,
                      .latency = Clock::now() - submitted_,
                      .num_prompt_tokens = asked_.num_prompt_tokens,
                      .num_generated_tokens = num_generated_tokens_,
                      .max_new_tokens = asked_.max_new_tokens});
}

}  // namespace lmdeploy
