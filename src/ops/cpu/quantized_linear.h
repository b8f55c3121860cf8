#pragma once
#include "ops/ops.h"

namespace lmdeploy::ops::cpu {

// linear() for matrices of integers.
void quantized_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y,
                      const LinearOptions& options);

}  // namespace lmdeploy::ops::cpu
