#include "engine/cost_model.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr double kFirstVariance = 1;  // a guess may be wrong by its own size, and by more
constexpr double kDrift = 3e-4;       // of the variance in a step: other programs come and go
constexpr double kNoise = 0.05;       // variance of a duration, relative
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
  update_cost();
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
    scale_[i] += gain[i] / spread * error;
    for (std::size_t j = 0; j < kNumTerms; j++) variance_[i][j] -= gain[i] * gain[j] / spread;
  }
  update_cost();
}

void CostModel::update_cost() {
  Terms scale = scale_;
  Matrix variance = variance_;
  // The lowest term is held at the least that it may be, which is to condition the others on it; again while
  // that pushes another one too low.
  for (std::size_t count = 0; count < kNumTerms; count++) {
    const auto lowest =
        static_cast<std::size_t>(std::min_element(scale.begin(), scale.end()) - scale.begin());
    const double missing = kMinScale - scale[lowest];
    if (missing <= 0) break;
    const Terms column = variance[lowest];
    for (std::size_t i = 0; i < kNumTerms; i++) {
      scale[i] += column[i] / column[lowest] * missing;
      for (std::size_t j = 0; j < kNumTerms; j++) variance[i][j] -= column[i] * column[j] / column[lowest];
    }
    scale[lowest] = kMinScale;
    for (std::size_t i = 0; i < kNumTerms; i++) variance[i][lowest] = variance[lowest][i] = 0;
    variance[lowest][lowest] = kFirstVariance;
  }
  for (double& s : scale) s = std::max(s, kMinScale);
  cost_ = {guess_[0] * scale[0], guess_[1] * scale[1], guess_[2] * scale[2], guess_[3] * scale[3],
           guess_[4] * scale[4]};
}

}  // namespace lmdeploy
