#pragma once
// The parts of a decoder layer: weights with the ops that apply them.
#include <cstdint>
#include <optional>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy {

// Consecutive outputs of a linear layer that are held in one format.
struct LinearPart {
  ops::PackedMatrix weight;  // [n of the part, k]
  Tensor input_order;        // [k] i32: x's column for each of the weight's; empty: the same

  void apply(Ctx& ctx, const View& x, const View& y, const ops::LinearOptions& options) const;
};

struct RmsNorm {
  Tensor weight;  // [k] f32
  float eps = 0;

  // x: [m, k] or [m, h, k] f32; y: the same shape, any float dtype.
  void apply(Ctx& ctx, const View& x, const View& y) const;
  ops::InputNorm before_linear() const { return {weight, eps}; }
  std::int64_t bytes() const;
};

struct Linear {
  std::vector<LinearPart> parts;  // one, or several where layers of different formats are stacked
  Tensor bias;                    // [n] f32, or empty

  DType dtype() const { return parts.front().weight.dtype(); }
  // x: [m, k] of dtype(); y: [m, n] f32, overwritten or added to.
  void apply(Ctx& ctx, const View& x, const View& y, bool accumulate = false) const;
  // The same of norm(x). x: [m, k] f32.
  void apply(Ctx& ctx, const RmsNorm& norm, const View& x, const View& y) const;
  // Whether it is one matrix, which an op can take together with what comes before and after it.
  bool is_whole() const { return parts.size() == 1 && parts.front().input_order.empty(); }
  View bias_view() const { return bias.empty() ? View() : bias.view(); }
  std::int64_t bytes() const;
};

// Grouped-query attention (Ainslie et al. 2023). Rows of qkv: all query heads, all key heads, all value
// heads.
struct Attention {
  std::int32_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
  std::int32_t sliding_window = 0;        // tokens, 0: none
  Linear qkv;                             // [(num_heads + 2 num_kv_heads) * head_dim, hidden_size]
  std::optional<RmsNorm> q_norm, k_norm;  // [head_dim], of every head before the rotation
  Linear output;                          // [hidden_size, num_heads * head_dim]

  // The heads inside qkv_rows, [m, (num_heads + 2 num_kv_heads) * head_dim] f32, as [m, heads, head_dim].
  View query(const View& qkv_rows) const { return heads(qkv_rows, 0, num_heads); }
  View key(const View& qkv_rows) const { return heads(qkv_rows, num_heads, num_kv_heads); }
  View value(const View& qkv_rows) const { return heads(qkv_rows, num_heads + num_kv_heads, num_kv_heads); }

  // x: [m, hidden_size] of qkv.dtype(); qkv_rows gets the heads, normed but not rotated yet.
  void project(Ctx& ctx, const View& x, const View& qkv_rows) const;
  // The same of norm(x). x: f32.
  void project(Ctx& ctx, const RmsNorm& norm, const View& x, const View& qkv_rows) const;
  std::int64_t bytes() const;

 private:
  View heads(const View& qkv_rows, std::int32_t first, std::int32_t count) const;
  void norm_heads(Ctx& ctx, const View& qkv_rows) const;
};

// SwiGLU (Shazeer 2020): down(silu(gate(x)) * up(x)).
struct Mlp {
  Linear gate_up;  // [2 intermediate_size, hidden_size]: gate rows, then up rows
  Linear down;     // [hidden_size, intermediate_size]

  // y = silu(gate(x)) * up(x), [m, intermediate_size] of gate_up.dtype(). x: [m, hidden_size] of that dtype.
  void activate(Ctx& ctx, const View& x, const View& y) const;
  // The same of norm(x). x: f32.
  void activate(Ctx& ctx, const RmsNorm& norm, const View& x, const View& y) const;
  std::int64_t bytes() const { return gate_up.bytes() + down.bytes(); }
};

}  // namespace lmdeploy
