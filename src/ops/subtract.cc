#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void subtract(Ctx& ctx, const View& a, const View& b, const View& y) {
  check_device(ctx, "subtract");
  ShapeMatcher match("subtract");
  match("a", a, "mk", {DType::f32, DType::bf16, DType::f16});
  match("b", b, "mk", {a.dtype});
  match("y", y, "mk", {a.dtype});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::subtract(ctx, a, b, y);
  cpu::subtract(ctx, a, b, y);
}

}  // namespace lmdeploy::ops
