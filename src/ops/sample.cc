#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

namespace {

void check_id(std::int32_t id, std::int64_t v) {
  CHECK(id >= 0 && id < v, "sample: id {} of {}", id, v);
}

}  // namespace

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens) {
  check_device(ctx, "sample");
  ShapeMatcher match("sample");
  match("logits", logits, "mv", {DType::f32});
  match.bind("rows", 'm', static_cast<std::int64_t>(rows.size()));
  match.bind("tokens", 'm', static_cast<std::int64_t>(tokens.size()));
  for (const SamplingRow& row : rows) {
    for (const IdBias& bias : row.logit_bias) check_id(bias.id, match['v']);
    for (const std::int32_t id : row.penalized_ids) check_id(id, match['v']);
    for (const IdCount& count : row.answer_counts) check_id(count.id, match['v']);
    for (const std::int32_t id : row.banned_ids) check_id(id, match['v']);
    CHECK(row.allowed_mask.empty() || std::ssize(row.allowed_mask) == (match['v'] + 31) / 32,
          "sample: a mask of {} words for {} tokens", row.allowed_mask.size(), match['v']);
  }
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::sample(ctx, logits, rows, tokens);
  cpu::sample(ctx, logits, rows, tokens);
}

}  // namespace lmdeploy::ops
