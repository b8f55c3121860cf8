#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

namespace {

void check_ids(std::span<const std::int32_t> ids, std::int64_t v) {
  for (const std::int32_t id : ids) CHECK(id >= 0 && id < v, "sample: id {} of {}", id, v);
}

}  // namespace

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens,
            std::span<float> logprobs) {
  check_device(ctx, "sample");
  ShapeMatcher match("sample");
  match("logits", logits, "mv", {DType::f32});
  match.bind("rows", 'm', static_cast<std::int64_t>(rows.size()));
  match.bind("tokens", 'm', static_cast<std::int64_t>(tokens.size()));
  if (!logprobs.empty()) match.bind("logprobs", 'm', static_cast<std::int64_t>(logprobs.size()));
  for (const SamplingRow& row : rows) {
    check_ids(row.penalized_ids, match['v']);
    check_ids(row.banned_ids, match['v']);
  }
  cpu::sample(ctx, logits, rows, tokens, logprobs);
}

}  // namespace lmdeploy::ops
