#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  check_device(ctx, "linear");
  ShapeMatcher match("linear");
  match.bind("w", 'n', w.n);
  match.bind("w", 'k', w.k);
  match("x", x, "mk", {w.dtype()});
  match("y", y, "mn", {DType::f32});
  if (!options.bias.empty()) match("bias", options.bias, "n", {DType::f32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::linear(ctx, x, w, y, options);
  cpu::linear(ctx, x, w, y, options);
}

}  // namespace lmdeploy::ops
