#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

Indices resolve_ids(Ctx& ctx, const Indices& ids, const View& drawn, const View& y) {
  check_device(ctx, "resolve_ids");
  ShapeMatcher match("resolve_ids");
  match("drawn", drawn, "n", {DType::i32});
  match.bind("ids", 'm', static_cast<std::int64_t>(ids.size()));
  match("y", y, "m", {DType::i32});
  for (const std::int32_t id : ids.host)
    CHECK(id >= 0 || ~id < drawn.dim(0), "resolve_ids: draw {} of {}", ~id, drawn.dim(0));
  if (only_plans(ctx)) return Indices::on_device(nullptr, ids.size());
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) {
      cuda::resolve_ids(ctx, ids, drawn, y);
      return Indices::on_device(y.as<std::int32_t>(), ids.size());
    }
  cpu::resolve_ids(ctx, ids.host, drawn, y);
  return std::span<const std::int32_t>(y.as<std::int32_t>(), ids.size());
}

}  // namespace lmdeploy::ops
