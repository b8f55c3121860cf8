#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void rope_table(Ctx& ctx, std::span<const std::int32_t> positions, std::span<const float> inv_freq,
                float scale, const View& y) {
  check_device(ctx, "rope_table");
  ShapeMatcher match("rope_table");
  match.bind("positions", 'm', static_cast<std::int64_t>(positions.size()));
  match.bind("inv_freq", 'd', 2 * static_cast<std::int64_t>(inv_freq.size()));
  match("y", y, "md", {DType::f32});
  cpu::rope_table(ctx, positions, inv_freq, scale, y);
}

void rope(Ctx& ctx, const View& x, const View& table) {
  check_device(ctx, "rope");
  ShapeMatcher match("rope");
  match("x", x, "mhd", {DType::f32});
  match("table", table, "md", {DType::f32});
  CHECK(match['d'] % 2 == 0, "rope: head_dim {} is odd", match['d']);
  cpu::rope(ctx, x, table);
}

}  // namespace lmdeploy::ops
