#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void rms_norm(Ctx& ctx, const View& x, const View& weight, float eps, const View& y) {
  check_device(ctx, "rms_norm");
  ShapeMatcher match("rms_norm");
  const char* letters = x.shape.rank() == 3 ? "mhd" : "md";
  match("x", x, letters, {DType::f32});
  match("weight", weight, "d", {DType::f32});
  match("y", y, letters, {DType::f32, DType::bf16, DType::f16});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::rms_norm(ctx, x, weight, eps, y);
  cpu::rms_norm(ctx, x, weight, eps, y);
}

}  // namespace lmdeploy::ops
