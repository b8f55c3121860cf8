#pragma once
// What a layer reads drifts from what it read in the 16-bit model as the layers before it are rounded. A
// weight that is asked for its old outputs on the new inputs can make up for a part of that (Li et al. 2025,
// "GPTAQ", which feeds it back column by column; here the least-squares weight is found first and then
// rounded).
#include "quantize/gptq.h"

namespace lmdeploy {

// Sum over the same calibration tokens of x^T (exact - x): exact as in the 16-bit model, x as it is now. In
// memory of ctx's device.
class InputDrift {
 public:
  InputDrift(Ctx& ctx, std::int64_t k);

  void add(const View& exact, const View& x);  // [m, k] of one dtype
  const View& matrix() const { return sum_.view(); }

 private:
  void add_slice(const View& exact, const View& x);

  Ctx& ctx_;
  Tensor sum_;  // [k, k] f32
};

// weight += share * weight drift^T H^-1, H the damped Hessian that `feedback` was made from: with share 1 the
// least-squares weight, which fits the calibration text too well. weight: [n, k] f32.
void correct_drift(Ctx& ctx, const View& weight, const View& drift, const ErrorFeedback& feedback,
                   float share);

}  // namespace lmdeploy
