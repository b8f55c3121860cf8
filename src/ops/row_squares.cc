#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void row_squares(Ctx& ctx, const View& x, std::span<double> sums) {
  check_device(ctx, "row_squares");
  ShapeMatcher match("row_squares");
  match("x", x, "mn", {DType::f32});
  match.bind("sums", 'm', static_cast<std::int64_t>(sums.size()));
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::row_squares(ctx, x, sums);
  cpu::row_squares(ctx, x, sums);
}

}  // namespace lmdeploy::ops
