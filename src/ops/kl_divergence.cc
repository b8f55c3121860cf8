#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

void kl_divergence(Ctx& ctx, const View& p, const View& q, std::span<double> kl) {
  check_device(ctx, "kl_divergence");
  ShapeMatcher match("kl_divergence");
  match("p", p, "mv", {DType::f32});
  match("q", q, "mv", {DType::f32});
  match.bind("kl", 'm', static_cast<std::int64_t>(kl.size()));
  CHECK(match['v'] > 0, "kl_divergence: no logits");
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::kl_divergence(ctx, p, q, kl);
  cpu::kl_divergence(ctx, p, q, kl);
}

}  // namespace lmdeploy::ops
