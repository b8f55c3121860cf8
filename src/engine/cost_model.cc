#include "engine/cost_model.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr double kFirstVariance = 1;  // a guess may be wrong by its own size, and by more
constexpr double kDrift = 3e-5;       // of the variance in a step: other programs come and go
constexpr double kNoise = 0.02;       // variance of a duration, relative
constexpr double kMinScale = 1e-3;    // no work is free

}  // namespace

CostModel::CostModel(const StepCost& guess)
    : guess_{guess.step_ms, guess.token_ms, guess.draw_ms, guess.pair_ms, guess.context_token_ms} {
  for (const double term : guess_) CHECK(term > 0, "a guess of {} ms", term);
  scale_.fill(1);
  for (std::size_t i = 0; i < kNumTerms; i++) {
    variance_[i].fill(0);
    variance_[i][i] = kFirstVariance;
  }
}

void CostModel::observe(const StepWork& work, double ms) {
  if (!(ms > 0)) return;  // the clock did not move
  const Terms counts = {1, static_cast<double>(work.num_tokens), static_cast<double>(work.num_draws),
                        static_cast<double>(work.num_pairs), static_cast<double>(work.num_context_tokens)};
  // What the guess makes of each term, as a part of what was measured: the scales should weigh them to 1.
  Terms part;
  Terms gain;
  for (std::size_t i = 0; i < kNumTerms; i++) {
    part[i] = guess_[i] * counts[i] / ms;
    variance_[i][i] = std::min(variance_[i][i] + kDrift, kFirstVariance);
  }
  double error = 1;
  double spread = kNoise;
  for (std::size_t i = 0; i < kNumTerms; i++) {
    gain[i] = 0;
    for (std::size_t j = 0; j < kNumTerms; j++) gain[i] += variance_[i][j] * part[j];
    error -= scale_[i] * part[i];
  }
  for (std::size_t i = 0; i < kNumTerms; i++) spread += part[i] * gain[i];
  for (std::size_t i = 0; i < kNumTerms; i++) {
    scale_[i] = std::max(scale_[i] + gain[i] / spread * error, kMinScale);
    for (std::size_t j = 0; j < kNumTerms; j++) variance_[i][j] -= gain[i] * gain[j] / spread;
  }
}

StepCost CostModel::cost() const noexcept {
  return {guess_[0] * scale_[0], guess_[1] * scale_[1], guess_[2] * scale_[2], guess_[3] * scale_[3],
          guess_[4] * scale_[4]};
}

}  // namespace lmdeploy
