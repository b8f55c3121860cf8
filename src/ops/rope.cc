#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void rope_table(Ctx& ctx, const Indices& positions, std::span<const float> inv_freq, float scale,
                const View& y) {
  check_device(ctx, "rope_table");
  ShapeMatcher match("rope_table");
  match.bind("positions", 'm', static_cast<std::int64_t>(positions.size()));
  match.bind("inv_freq", 'd', 2 * static_cast<std::int64_t>(inv_freq.size()));
  match("y", y, "md", {DType::f32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::rope_table(ctx, positions, inv_freq, scale, y);
  cpu::rope_table(ctx, positions.host, inv_freq, scale, y);
}

void rope(Ctx& ctx, const View& x, const View& table) {
  check_device(ctx, "rope");
  ShapeMatcher match("rope");
  match("x", x, "mhd", {DType::f32});
  match("table", table, "md", {DType::f32});
  CHECK(match['d'] % 2 == 0, "rope: head_dim {} is odd", match['d']);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::rope(ctx, x, table);
  cpu::rope(ctx, x, table);
}

}  // namespace lmdeploy::ops
