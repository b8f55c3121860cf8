#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {
namespace {

void check_groups(const char* op, std::int64_t k, std::int64_t group_size) {
  CHECK(group_size > 0 && k % group_size == 0, "{}: groups of {} in {} inputs", op, group_size, k);
}

}  // namespace

void scaled_rounding_errors(Ctx& ctx, const View& w, const View& scales, const RoundingOptions& options,
                            const View& errors) {
  check_device(ctx, "scaled_rounding_errors");
  ShapeMatcher match("scaled_rounding_errors");
  match("w", w, "nk", {DType::f32});
  match("scales", scales, "k", {DType::f32});
  match("errors", errors, "nk", {DType::f32, DType::bf16, DType::f16});
  check_groups("scaled_rounding_errors", w.dim(1), options.format.group_size);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::scaled_rounding_errors(ctx, w, scales, options, errors);
  cpu::scaled_rounding_errors(ctx, w, scales, options, errors);
}

void choose_clipping(Ctx& ctx, const View& w, const View& grams, const RoundingOptions& options,
                     const View& choices) {
  check_device(ctx, "choose_clipping");
  check_groups("choose_clipping", w.dim(1), options.format.group_size);
  ShapeMatcher match("choose_clipping");
  match("w", w, "nk", {DType::f32});
  match.bind("group_size", 's', options.format.group_size);
  match("grams", grams, "ks", {DType::f32});
  match.bind("groups", 'g', w.dim(1) / options.format.group_size);
  match("choices", choices, "ng", {DType::u8});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::choose_clipping(ctx, w, grams, options, choices);
  cpu::choose_clipping(ctx, w, grams, options, choices);
}

}  // namespace lmdeploy::ops
