#include "model/layers.h"

namespace lmdeploy {

void LinearPart::apply(Ctx& ctx, const View& x, const View& y, const ops::LinearOptions& options) const {
  if (input_order.empty()) return ops::linear(ctx, x, weight, y, options);
  const Workspace::Scope scope(*ctx.workspace);
  const View ordered = ctx.workspace->take(x.dtype, x.shape);
  ops::gather_columns(ctx, x, input_order, ordered);
  ops::linear(ctx, ordered, weight, y, options);
}

void Linear::apply(Ctx& ctx, const View& x, const View& y, bool accumulate) const {
  std::int64_t first = 0;
  for (const LinearPart& part : parts) {
    const std::int64_t n = part.weight.n;
    const View part_bias = bias.empty() ? View() : bias.view().rows(first, n);
    part.apply(ctx, x, y.columns(first, n), {.bias = part_bias, .accumulate = accumulate});
    first += n;
  }
}

void Linear::apply(Ctx& ctx, const RmsNorm& norm, const View& x, const View& y) const {
  if (is_whole())
    return ops::normed_linear(ctx, x, norm.before_linear(), parts.front().weight, y, {.bias = bias_view()});
  const Workspace::Scope scope(*ctx.workspace);
  const View normed = ctx.workspace->take(dtype(), x.shape);
  norm.apply(ctx, x, normed);
  apply(ctx, normed, y);
}

std::int64_t Linear::bytes() const {
  std::int64_t sum = bias.empty() ? 0 : bias.view().bytes();
  for (const LinearPart& part : parts)
    sum += part.weight.bytes() + (part.input_order.empty() ? 0 : part.input_order.view().bytes());
  return sum;
}

void RmsNorm::apply(Ctx& ctx, const View& x, const View& y) const {
  ops::rms_norm(ctx, x, weight, eps, y);
}

std::int64_t RmsNorm::bytes() const {
  return weight.view().bytes();
}

View Attention::heads(const View& qkv_rows, std::int32_t first, std::int32_t count) const {
  float* data = qkv_rows.as<float>() + std::int64_t{first} * head_dim;
  return {data, DType::f32, Shape{qkv_rows.dim(0), count, head_dim}, qkv_rows.row_stride};
}

void Attention::project(Ctx& ctx, const View& x, const View& qkv_rows) const {
  qkv.apply(ctx, x, qkv_rows);
  norm_heads(ctx, qkv_rows);
}

void Attention::project(Ctx& ctx, const RmsNorm& norm, const View& x, const View& qkv_rows) const {
  qkv.apply(ctx, norm, x, qkv_rows);
  norm_heads(ctx, qkv_rows);
}

void Attention::norm_heads(Ctx& ctx, const View& qkv_rows) const {
  const View q = query(qkv_rows), k = key(qkv_rows);
  if (q_norm) q_norm->apply(ctx, q, q);
  if (k_norm) k_norm->apply(ctx, k, k);
}

std::int64_t Attention::bytes() const {
  return qkv.bytes() + output.bytes() + (q_norm ? q_norm->bytes() : 0) + (k_norm ? k_norm->bytes() : 0);
}

void Mlp::activate(Ctx& ctx, const View& x, const View& y) const {
  const Workspace::Scope scope(*ctx.workspace);
  const View rows = ctx.workspace->take(DType::f32, {x.dim(0), 2 * y.dim(1)});
  gate_up.apply(ctx, x, rows);
  ops::silu_mul(ctx, rows, y);
}

void Mlp::activate(Ctx& ctx, const RmsNorm& norm, const View& x, const View& y) const {
  if (gate_up.is_whole())
    return ops::normed_swiglu(ctx, x, norm.before_linear(), gate_up.parts.front().weight, gate_up.bias_view(),
                              y);
  const Workspace::Scope scope(*ctx.workspace);
  const View normed = ctx.workspace->take(gate_up.dtype(), x.shape);
  norm.apply(ctx, x, normed);
  activate(ctx, normed, y);
}

}  // namespace lmdeploy
