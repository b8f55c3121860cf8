#pragma once
#include <array>

#include "engine/step_cost.h"

namespace lmdeploy {

// Learns a StepCost from the durations of steps: a Kalman filter over its five terms, each in units of its
// first guess and slowly drifting. Errors count relative to the duration, so that a step which the system
// interrupted pulls less than its length, and what no recent step has exercised keeps its estimate (plain
// forgetting would lose what prompts cost during a long answer). Deterministic.
class CostModel {
 public:
  // A guess of all terms, each over 0; better too high than too low.
  explicit CostModel(const StepCost& guess);

  void observe(const StepWork& work, double ms);

  StepCost cost() const noexcept;

 private:
  static constexpr std::size_t kNumTerms = 5;
  using Terms = std::array<double, kNumTerms>;

  Terms guess_;
  Terms scale_;                            // the estimate, in units of guess_
  std::array<Terms, kNumTerms> variance_;  // covariance of scale_
};

}  // namespace lmdeploy
