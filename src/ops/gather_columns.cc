#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void gather_columns(Ctx& ctx, const View& x, const View& order, const View& y) {
  check_device(ctx, "gather_columns");
  ShapeMatcher match("gather_columns");
  match("x", x, "mk", {DType::f32, DType::bf16, DType::f16});
  match("order", order, "n", {DType::i32});
  match("y", y, "mn", {x.dtype});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::gather_columns(ctx, x, order, y);
  cpu::gather_columns(ctx, x, order, y);
}

}  // namespace lmdeploy::ops
