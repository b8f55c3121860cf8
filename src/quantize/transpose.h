#pragma once
#include "tensor/ctx.h"

namespace lmdeploy {

// target[c][r] = source[r][c]. Both f32, bf16 or f16, and of the same dtype.
void transpose(Ctx& ctx, const View& source /* [m, k] */, const View& target /* [k, m] */);

}  // namespace lmdeploy
