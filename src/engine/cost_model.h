#pragma once
#include <array>

#include "engine/step_cost.h"

namespace lmdeploy {

// Learns a StepCost from the durations of steps: a Kalman filter over its five terms, each in units of its
// first guess and slowly drifting. Errors count relative to the duration, so that a step which the system
// interrupted pulls less than its length, and what no recent step has exercised keeps its estimate (plain
// forgetting would lose what prompts cost during a long answer). Steps say little about single terms, and the
// likeliest ones may be negative: those are set to almost nothing and the others to the likeliest then.
// Deterministic.
class CostModel {
 public:
  // A guess of all terms, each over 0; better too high than too low.
  explicit CostModel(const StepCost& guess);

  void observe(const StepWork& work, double ms);

  StepCost cost() const noexcept { return cost_; }

 private:
  static constexpr std::size_t kNumTerms = 5;
  using Terms = std::array<double, kNumTerms>;

  using Matrix = std::array<Terms, kNumTerms>;

  void update_cost();

  Terms guess_;
  Terms scale_;      // the estimate, in units of guess_; of either sign
  Matrix variance_;  // its covariance
  StepCost cost_;
};

}  // namespace lmdeploy
