// Linear layers with the norm before them and SwiGLU behind: of few tokens in one kernel, unless
// ctx.deterministic.
#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/gemv_kernel.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/linear_product.h"
#include "ops/cuda/quantized_gemv_kernel.h"
#include "ops/cuda/row_ops_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

// Whether m tokens are computed by a kernel that a norm may be in front of and gating behind.
bool is_gemv(const Ctx& ctx, const PackedMatrix& w, std::int64_t m, bool is_gated) {
  if (ctx.deterministic || w.dtype() == DType::f32 || m > kMaxGemvTokens) return false;
  if (w.format.quant)
    return w.format.activations != Activations::int8_per_group &&
           fits_gemv(quantized_layout(w.format, w.n, w.k), m, is_gated);
  return w.k % kPieceInputs == 0 &&
         gemv_shared_bytes(w.k, static_cast<int>(m), is_gated) <= card_limits().max_shared_bytes;
}

bool gates_in_gemv(const Ctx& ctx, const PackedMatrix& w, std::int64_t m) {
  return w.n % (2 * kTileRows) == 0 && is_gemv(ctx, w, m, true);
}

// Whether such a kernel can norm its inputs.
bool takes_norm(const View& x, const InputNorm& norm, const PackedMatrix& w) {
  if (x.dim(0) > kMaxNormedTokens || w.k > kMaxNormedInputs || w.k % 4 != 0) return false;
  if (!is_aligned(x) || !is_aligned(View(norm.weight.data, DType::f32, {1, w.k}))) return false;
  return !w.format.quant || (w.format.activations == Activations::as_they_are &&
                             quantized_layout(w.format, w.n, w.k).padded_k() == w.k);
}

void normed_gemv(const Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w,
                 const LinearOutput& out) {
  const CardLimits card = card_limits();
  const PrologueNorm prologue{norm.weight.as<float>(), norm.eps};
  const int m = static_cast<int>(x.dim(0));
  if (w.format.quant)
    return CUDA_CHECK(launch_quantized_gemv(quantized_matrix(w), {x.data, x.row_stride, m, prologue}, out,
                                            card, stream_of(ctx)));
  FloatGemv gemv;
  gemv.dtype = w.dtype();
  gemv.x = x.data;
  gemv.x_stride = x.row_stride;
  gemv.norm = prologue;
  gemv.w = w.data.view().data;
  gemv.m = m;
  gemv.n = w.n;
  gemv.k = w.k;
  gemv.out = out;
  CUDA_CHECK(launch_gemv(gemv, card, stream_of(ctx)));
}

View normed_rows(Ctx& ctx, const View& x, const InputNorm& norm, DType dtype) {
  const View normed = ctx.workspace->take(dtype, x.shape);
  rms_norm(ctx, x, norm.weight, norm.eps, normed);
  return normed;
}

void activate(const Ctx& ctx, const View& gate_up, const View& y) {
  CUDA_CHECK(launch_silu_mul({gate_up.data, gate_up.dtype, gate_up.row_stride},
                             {y.data, y.dtype, y.row_stride}, y.dim(0), y.dim(1), stream_of(ctx)));
}

// Gate and up as their product gives them, then SwiGLU of them.
void swiglu_in_two(Ctx& ctx, const View& x, const PackedMatrix& w, const View& bias, const View& y) {
  const Shape shape{x.dim(0), w.n};
  if (bias.empty() && !ctx.deterministic) {
    const Workspace::Scope scope(*ctx.workspace);
    const View rounded = ctx.workspace->take(w.dtype(), shape);
    if (rounded_product(ctx, x, w, rounded)) return activate(ctx, rounded, y);
  }
  const Workspace::Scope scope(*ctx.workspace);
  const View gate_up = ctx.workspace->take(DType::f32, shape);
  linear_product(ctx, x, w, output_of(gate_up, {.bias = bias}));
  activate(ctx, gate_up, y);
}

}  // namespace

void normed_linear(Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w, const View& y,
                   const LinearOptions& options) {
  if (x.dim(0) == 0) return;
  const LinearOutput out = output_of(y, options);
  if (is_gemv(ctx, w, x.dim(0), false) && takes_norm(x, norm, w)) return normed_gemv(ctx, x, norm, w, out);
  const Workspace::Scope scope(*ctx.workspace);
  linear_product(ctx, normed_rows(ctx, x, norm, w.dtype()), w, out);
}

void normed_swiglu(Ctx& ctx, const View& x, const InputNorm& norm, const PackedMatrix& w, const View& bias,
                   const View& y) {
  if (x.dim(0) == 0) return;
  LinearOutput out;
  out.gated = y.data;
  out.stride = y.row_stride;
  out.bias = bias.empty() ? nullptr : bias.as<float>();
  const bool gates = gates_in_gemv(ctx, w, x.dim(0));
  if (gates && takes_norm(x, norm, w)) return normed_gemv(ctx, x, norm, w, out);
  const Workspace::Scope scope(*ctx.workspace);
  const View normed = normed_rows(ctx, x, norm, w.dtype());
  if (gates) return linear_product(ctx, normed, w, out);
  swiglu_in_two(ctx, normed, w, bias, y);
}

}  // namespace lmdeploy::ops::cuda
