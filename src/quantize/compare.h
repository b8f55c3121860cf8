#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "model/model.h"
#include "quantize/evaluate.h"

namespace lmdeploy {

struct CompareOptions {
  std::int32_t window = 2048;                              // tokens, at least 2
  std::int64_t max_windows = 16;                           // 0: as many whole windows as the text has
  std::int64_t max_logits_bytes = std::int64_t{64} << 20;  // of either model: a window is computed in slices
};

// After each window; over what was compared so far.
struct CompareProgress {
  std::int64_t num_windows_done = 0;
  std::int64_t num_windows = 0;
  double mean_kl = 0;
};

// What b loses against a on the same windows. Of n positions KL(p || q) is taken in nats, p being what a
// predicts there and q what b does; positions whose most likely token differs are counted.
struct Comparison {
  Perplexity a, b;  // seconds: of this model's forward passes
  double mean_kl = 0;
  double p99_kl = 0;  // the smallest that 99 % of the positions do not exceed
  double max_kl = 0;
  std::int64_t num_positions = 0;
  std::int64_t num_changed = 0;

  double changed_share() const {
    return static_cast<double>(num_changed) / static_cast<double>(num_positions);
  }
};

// Window i is ids[window * i, window * (i + 1)), computed by each model from an empty cache. KL and changes
// are of all its positions; the perplexities score positions 1..window-1, as evaluate_perplexity does. Both
// models are in memory; of the logits one slice of each is.
//
// Throws Error: the models' vocabularies differ in size, fewer than 2 ids, a window below 2, an id outside
// the vocabulary, logits that are not numbers.
Comparison compare_models(Ctx& ctx, const Model& a, const Model& b, std::span<const std::int32_t> ids,
                          const CompareOptions& options,
                          const std::function<void(const CompareProgress&)>& progress = {});

}  // namespace lmdeploy
