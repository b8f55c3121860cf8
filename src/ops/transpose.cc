#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void transpose(Ctx& ctx, const View& x, const View& y) {
  check_device(ctx, "transpose");
  ShapeMatcher match("transpose");
  match("x", x, "mk", {DType::f32, DType::bf16, DType::f16});
  match("y", y, "km", {x.dtype});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::transpose(ctx, x, y);
  cpu::transpose(ctx, x, y);
}

}  // namespace lmdeploy::ops
