#pragma once
#include <cstdint>

#include "tensor/ctx.h"

namespace lmdeploy {

// The sum of x^T x over the calibration inputs of a linear layer: half the Hessian of its squared output
// error in any row of its weight (Frantar et al. 2022, section 2). In memory of ctx's device. Products of
// 16-bit inputs are exact in f32, and so are the sums' terms: what rounds is adding up, in f32.
class Gram {
 public:
  Gram(Ctx& ctx, std::int64_t k);

  void add(const View& x /* [m, k] f32, bf16 or f16 */);

  // Completes the sum and gives it, symmetric, [k, k] f32. It may be added to again afterwards.
  const View& matrix();

 private:
  void add_slice(const View& x);
  std::int64_t strip_columns() const;

  Ctx& ctx_;
  Tensor sum_;  // [k, k] f32; blocks below the diagonal are those above it as of the last matrix()
};

}  // namespace lmdeploy
