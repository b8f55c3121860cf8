#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void add_channel_statistics(Ctx& ctx, const View& x, const ChannelStatistics& statistics) {
  check_device(ctx, "add_channel_statistics");
  ShapeMatcher match("add_channel_statistics");
  match("x", x, "mk", {DType::f32, DType::bf16, DType::f16});
  match.bind("abs_sum", 't', 2);
  match("abs_max", statistics.abs_max, "k", {DType::f32});
  match("abs_sum", statistics.abs_sum, "tk", {DType::f32});
  match("not_finite", statistics.not_finite, "k", {DType::i32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::add_channel_statistics(ctx, x, statistics);
  cpu::add_channel_statistics(ctx, x, statistics);
}

}  // namespace lmdeploy::ops
