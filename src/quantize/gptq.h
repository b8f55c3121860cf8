#pragma once
// GPTQ (Frantar et al. 2022, algorithm 1): columns are rounded one after another, and what rounding has
// changed so far is made up for by those that are still to come. Computed as LDLQ, which gives the same
// (Chee et al. 2023, theorem 6) from a factor of the Hessian itself: its inverse is not needed.
#include <cstdint>
#include <vector>

#include "quantize/quantized_linear.h"

namespace lmdeploy {

struct FeedbackOptions {
  double damping = 0.01;  // of the mean of the Hessian's diagonal, added to all of it
  bool act_order = true;  // inputs with the largest activations first, else in the file's order
};

// How a rounding error of one input is answered by others: of the inputs alone, so that all linears that
// read the same inputs share it.
struct ErrorFeedback {
  // Place -> input. Places are rounded from the last to the first.
  std::vector<std::int64_t> inputs;  // [k]
  // Row a, column b > a: what the input in place a gains per unit of error in place b. On the diagonal: by
  // what an error that is left in place a counts. Below it: nothing.
  Tensor gains;  // [k, k] f32
};

// hessian: [k, k] f32, symmetric: the sum of x^T x, in any scale. Throws Error where it is not finite.
ErrorFeedback make_error_feedback(Ctx& ctx, const View& hessian, const FeedbackOptions& options);

// Rounds [n, k] f32 to grids that are given: `target` holds scales and zeros, each group's of neighbouring
// inputs whatever their order of rounding ("static groups"), and gets its codes.
void round_with_feedback(Ctx& ctx, const View& weight, const ErrorFeedback& feedback,
                         QuantizedLinear& target);

}  // namespace lmdeploy
