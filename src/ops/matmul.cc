#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void matmul(Ctx& ctx, const View& a, const View& b, const View& y, bool accumulate) {
  check_device(ctx, "matmul");
  ShapeMatcher match("matmul");
  match("a", a, "mk", {DType::f32, DType::bf16, DType::f16});
  match("b", b, "nk", {a.dtype});
  match("y", y, "mn", {DType::f32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::matmul(ctx, a, b, y, accumulate);
  cpu::matmul(ctx, a, b, y, accumulate);
}

}  // namespace lmdeploy::ops
