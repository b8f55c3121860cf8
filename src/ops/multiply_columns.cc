#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void multiply_columns(Ctx& ctx, const View& x, const View& factors, const View& y) {
  check_device(ctx, "multiply_columns");
  ShapeMatcher match("multiply_columns");
  match("x", x, "mk", {DType::f32});
  match("factors", factors, "k", {DType::f32});
  match("y", y, "mk", {DType::f32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::multiply_columns(ctx, x, factors, y);
  cpu::multiply_columns(ctx, x, factors, y);
}

}  // namespace lmdeploy::ops
