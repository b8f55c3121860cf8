#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {
namespace {

ShapeMatcher match_weights(const char* op, const PackedMatrix& w) {
  ShapeMatcher match(op);
  match.bind("w", 'n', w.n);
  match.bind("w", 'k', w.k);
  return match;
}

View normed_rows(Ctx& ctx, const View& x, const InputNorm& norm, DType dtype) {
  const View normed = ctx.workspace->take(dtype, x.shape);
  rms_norm(ctx, x, norm.weight, norm.eps, normed);
  return normed;
}

}  // namespace

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  check_device(ctx, "linear");
  ShapeMatcher match = match_weights("linear", w);
  match("x", x, "mk", {w.dtype()});
  match("y", y, "mn", {DType::f32});
  if (!options.bias.empty()) match("bias", options.bias, "n", {DType::f32});
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::linear(ctx, x, w, y, options);
  cpu::linear(ctx, x, w, y, options);
}

void normed_linear(Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w, const View& y,
                   const LinearOptions& options) {
  check_device(ctx, "normed_linear");
  ShapeMatcher match = match_weights("normed_linear", w);
  match("x", x, "mk", {DType::f32});
  match("norm", norm.weight, "k", {DType::f32});
  match("y", y, "mn", {DType::f32});
  if (!options.bias.empty()) match("bias", options.bias, "n", {DType::f32});
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda && !only_plans(ctx))
      return cuda::normed_linear(ctx, x, norm, w, y, options);
  const Workspace::Scope scope(*ctx.workspace);
  linear(ctx, normed_rows(ctx, x, norm, w.dtype()), w, y, options);
}

void normed_swiglu(Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w, const View& bias,
                   const View& y) {
  check_device(ctx, "normed_swiglu");
  ShapeMatcher match = match_weights("normed_swiglu", w);
  match("x", x, "mk", {DType::f32});
  match("norm", norm.weight, "k", {DType::f32});
  if (!bias.empty()) match("bias", bias, "n", {DType::f32});
  match("y", y, "mh", {w.dtype()});
  CHECK(w.n == 2 * match['h'], "normed_swiglu: {} outputs for a y of {} columns", w.n, match['h']);
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda && !only_plans(ctx)) return cuda::normed_swiglu(ctx, x, norm, w, bias, y);
  const Workspace::Scope scope(*ctx.workspace);
  const View normed = normed_rows(ctx, x, norm, w.dtype());
  if (only_plans(ctx)) {
    ctx.workspace->take(w.dtype(), {x.dim(0), w.n});  // gate and up of many rows on a card
    return;
  }
  const View gate_up = ctx.workspace->take(DType::f32, {x.dim(0), w.n});
  linear(ctx, normed, w, gate_up, {.bias = bias});
  silu_mul(ctx, gate_up, y);
}

}  // namespace lmdeploy::ops
