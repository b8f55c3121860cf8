#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void silu_mul(Ctx& ctx, const View& x, const View& y) {
  check_device(ctx, "silu_mul");
  ShapeMatcher match("silu_mul");
  match("y", y, "mk", {DType::f32, DType::bf16, DType::f16});
  match.bind("y", 'd', 2 * match['k']);
  match("x", x, "md", {DType::f32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::silu_mul(ctx, x, y);
  cpu::silu_mul(ctx, x, y);
}

}  // namespace lmdeploy::ops
