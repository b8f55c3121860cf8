#pragma once
#include "tensor/ctx.h"

namespace lmdeploy {

// Factors a symmetric matrix as U^T U, U upper triangular, in its place. Reads the upper triangle; what is
// left in the lower one means nothing. Returns false where the matrix is not positive definite in f32; then
// its upper triangle is spoilt too.
bool factor_cholesky(Ctx& ctx, const View& matrix /* [k, k] f32 */);

}  // namespace lmdeploy
