#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "model/model.h"

namespace lmdeploy {

struct PerplexityOptions {
  std::int32_t window = 2048;                              // tokens, at least 2
  std::int64_t max_windows = 0;                            // 0: as many whole windows as the text has
  std::int64_t max_logits_bytes = std::int64_t{64} << 20;  // a window is computed in slices of so many logits
};

// After each window; what was scored so far.
struct PerplexityProgress {
  std::int64_t num_windows_done = 0;
  std::int64_t num_windows = 0;
  double perplexity = 0;  // of the windows done
};

struct Perplexity {
  double perplexity = 0;    // exp(nll)
  double nll = 0;           // mean of -log p over the scored tokens, nats
  std::int64_t tokens = 0;  // scored: (window - 1) per window
  double seconds = 0;       // wall time
};

// Window i is ids[window * i, window * (i + 1)), computed from an empty cache; its positions 1..window-1 are
// scored. What is left after the last whole window is not. A text shorter than one window is one window of
// its own length. Throws Error: fewer than 2 ids, a window below 2, an id outside the vocabulary.
Perplexity evaluate_perplexity(Ctx& ctx, const Model& model, std::span<const std::int32_t> ids,
                               const PerplexityOptions& options,
                               const std::function<void(const PerplexityProgress&)>& progress = {});

}  // namespace lmdeploy
