#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void token_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> targets,
                    std::span<float> logprobs) {
  check_device(ctx, "token_logprobs");
  ShapeMatcher match("token_logprobs");
  match("logits", logits, "mv", {DType::f32});
  match.bind("targets", 'm', static_cast<std::int64_t>(targets.size()));
  match.bind("logprobs", 'm', static_cast<std::int64_t>(logprobs.size()));
  for (const std::int32_t id : targets)
    CHECK(id >= -1 && id < match['v'], "token_logprobs: id {} of {}", id, match['v']);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::token_logprobs(ctx, logits, targets, logprobs);
  cpu::token_logprobs(ctx, logits, targets, logprobs);
}

void top_logprobs(Ctx& ctx, const View& logits, std::span<const std::int32_t> counts,
                  std::span<std::vector<IdLogprob>> tops) {
  check_device(ctx, "top_logprobs");
  ShapeMatcher match("top_logprobs");
  match("logits", logits, "mv", {DType::f32});
  match.bind("counts", 'm', static_cast<std::int64_t>(counts.size()));
  match.bind("tops", 'm', static_cast<std::int64_t>(tops.size()));
  for (const std::int32_t count : counts) CHECK(count >= 0, "top_logprobs: count {}", count);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::top_logprobs(ctx, logits, counts, tops);
  cpu::top_logprobs(ctx, logits, counts, tops);
}

}  // namespace lmdeploy::ops
