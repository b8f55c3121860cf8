#include "ops/cpu/cpu_ops.h"
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
    CHECK(id >= 0 && id < match['v'], "token_logprobs: id {} of {}", id, match['v']);
  cpu::token_logprobs(ctx, logits, targets, logprobs);
}

}  // namespace lmdeploy::ops
