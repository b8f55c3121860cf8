#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

namespace {

void check_ids(std::span<const std::int32_t> ids, std::int64_t v) {
  for (const std::int32_t id : ids) CHECK(id >= 0 && id < v, "embed: id {} of {}", id, v);
}

}  // namespace

void embed(Ctx& ctx, const Indices& ids, const View& table, const View& y) {
  check_device(ctx, "embed");
  ShapeMatcher match("embed");
  match("table", table, "vk", {DType::f32, DType::bf16, DType::f16});
  match.bind("ids", 'm', static_cast<std::int64_t>(ids.size()));
  match("y", y, "mk", {DType::f32});
  check_ids(ids.host, match['v']);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::embed(ctx, ids, table, y);
  cpu::embed(ctx, ids.host, table, y);
}

void embed(Ctx& ctx, const Indices& ids, const PackedMatrix& table, const View& y) {
  check_device(ctx, "embed");
  ShapeMatcher match("embed");
  match.bind("table", 'k', table.k);
  match.bind("ids", 'm', static_cast<std::int64_t>(ids.size()));
  match("y", y, "mk", {DType::f32});
  check_ids(ids.host, table.n);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::embed(ctx, ids, table, y);
  cpu::embed(ctx, ids.host, table, y);
}

}  // namespace lmdeploy::ops
