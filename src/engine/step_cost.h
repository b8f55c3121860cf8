#pragma once
#include <cstdint>

namespace lmdeploy {

// What a step does, counted.
struct StepWork {
  std::int64_t num_tokens = 0;
  std::int64_t num_draws = 0;
  std::int64_t num_pairs = 0;           // (token, token that it attends to)
  std::int64_t num_context_tokens = 0;  // whose keys and values a sequence's tokens attend to together

  // Positions [first, first + len) of a sequence.
  void add(std::int64_t first, std::int64_t len, bool draws) noexcept {
    num_tokens += len;
    num_draws += draws ? 1 : 0;
    num_pairs += len * first + len * (len + 1) / 2;
    num_context_tokens += first + len;
  }
};

// What a step takes, in milliseconds: linear in its work.
struct StepCost {
  double step_ms = 0;           // whatever it computes: mostly reading the weights
  double token_ms = 0;          // each token's way through the layers
  double draw_ms = 0;           // each draw: the head and the sampling
  double pair_ms = 0;           // attention, which is computing in prompts
  double context_token_ms = 0;  // and reading in decodes

  double predict(const StepWork& work) const noexcept {
    return step_ms + token_ms * static_cast<double>(work.num_tokens) +
           draw_ms * static_cast<double>(work.num_draws) + pair_ms * static_cast<double>(work.num_pairs) +
           context_token_ms * static_cast<double>(work.num_context_tokens);
  }
};

}  // namespace lmdeploy
