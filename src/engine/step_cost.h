#pragma once
#include <cstdint>

namespace lmdeploy {

// What a step does, counted.
struct StepWork {
  std::int64_t num_tokens = 0;
  std::int64_t num_draws = 0;
  std::int64_t num_pairs = 0;           // of chunks of a prompt: (token, token that it attends to)
  std::int64_t num_context_tokens = 0;  // of decodes: tokens whose keys and values are read

  // Positions [first, first + len) of a sequence. A single token is a decode.
  void add(std::int64_t first, std::int64_t len, bool draws) noexcept {
    num_tokens += len;
    num_draws += draws ? 1 : 0;
    if (len == 1)
      num_context_tokens += first + 1;
    else
      num_pairs += len * first + len * (len + 1) / 2;
  }
};

// What a step takes, in milliseconds: linear in its work.
struct StepCost {
  double step_ms = 0;           // whatever it computes: mostly reading the weights
  double token_ms = 0;          // each token's way through the layers
  double draw_ms = 0;           // each draw: the head and the sampling
  double pair_ms = 0;           // attention of prompts
  double context_token_ms = 0;  // attention of decodes

  double predict(const StepWork& work) const noexcept {
    return step_ms + token_ms * static_cast<double>(work.num_tokens) +
           draw_ms * static_cast<double>(work.num_draws) + pair_ms * static_cast<double>(work.num_pairs) +
           context_token_ms * static_cast<double>(work.num_context_tokens);
  }
};

}  // namespace lmdeploy
