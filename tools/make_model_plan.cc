#include "make_model_plan.h"

#include <cmath>
#include <string>
#include <utility>

namespace lmdeploy::make_model {
namespace {

// The deviation of q - zero for q in [0, 15] and zero in [6, 9].
constexpr double kAwqDeviation = 4.74;

class Planner {
 public:
  Planner(const ModelShape& shape, const Form& form) : shape_(shape), form_(form) {}

  std::vector<PlannedTensor> plan() {
    const bool llama = form_.layout == Layout::llama;
    matrix(llama ? "model.embed_tokens" : "model.tok_embeddings", shape_.vocab_size, shape_.hidden_size,
           std::sqrt(3.0));
    for (std::int64_t i = 0; i < shape_.num_hidden_layers; i++) {
      const std::string prefix = fmt::format("model.layers.{}.", i);
      norm(prefix + (llama ? "input_layernorm" : "attention_norm"));
      attention(prefix);
      norm(prefix + (llama ? "post_attention_layernorm" : "ffn_norm"));
      linear(prefix + (llama ? "mlp.gate_proj" : "feed_forward.w1"), shape_.intermediate_size,
             shape_.hidden_size);
      linear(prefix + (llama ? "mlp.up_proj" : "feed_forward.w3"), shape_.intermediate_size,
             shape_.hidden_size);
      linear(prefix + (llama ? "mlp.down_proj" : "feed_forward.w2"), shape_.hidden_size,
             shape_.intermediate_size);
    }
    norm("model.norm");
    matrix(llama ? "lm_head" : "output", shape_.vocab_size, shape_.hidden_size,
           std::sqrt(3.0 / static_cast<double>(shape_.hidden_size)));
    return std::move(tensors_);
  }

 private:
  void add(std::string name, DType dtype, Shape shape, Fill fill, const std::vector<RowRange>& rows,
           double spread) {
    tensors_.push_back({{std::move(name), dtype, shape}, fill, rows, 0, static_cast<float>(spread)});
  }
  void matrix(const std::string& name, std::int64_t n, std::int64_t k, double spread) {
    add(name + ".weight", DType::bf16, {n, k}, Fill::values, {{next_matrix_id_++, 0, n}}, spread);
  }
  void norm(const std::string& name) {
    add(name + ".weight", DType::bf16, {shape_.hidden_size}, Fill::values, {{next_matrix_id_++, 0, 1}}, 0.25);
    tensors_.back().offset = 1;
  }
  void linear(const std::string& name, std::int64_t n, std::int64_t k) {
    linear(name, k, {{next_matrix_id_++, 0, n}});
  }
  // Values of deviation 1 / sqrt(k).
  void linear(const std::string& name, std::int64_t k, const std::vector<RowRange>& rows) {
    std::int64_t n = 0;
    for (const RowRange& range : rows) n += range.num_rows;
    const double deviation = 1 / std::sqrt(static_cast<double>(k));
    if (form_.storage == Storage::bf16)
      return add(name + ".weight", DType::bf16, {n, k}, Fill::values, rows, std::sqrt(3.0) * deviation);
    if (form_.storage == Storage::fp8) {
      const auto blocks = [](std::int64_t count) { return (count + kFp8Block - 1) / kFp8Block; };
      const double spread = std::sqrt(3.0) * deviation;
      add(name + ".weight", DType::f8_e4m3, {n, k}, Fill::fp8_values, rows, spread);
      add(name + ".weight_scale_inv", DType::f32, {blocks(n), blocks(k)}, Fill::fp8_scales, rows, spread);
      return;
    }
    const std::int64_t num_groups = k / shape_.group_size();
    add(name + ".qweight", DType::i32, {k, n / 8}, Fill::awq_words, rows, 0);
    add(name + ".qzeros", DType::i32, {num_groups, n / 8}, Fill::awq_zeros, rows, 0);
    add(name + ".scales", DType::f16, {num_groups, n}, Fill::awq_scales, rows, deviation / kAwqDeviation);
  }

  void attention(const std::string& prefix) {
    const std::int64_t d = shape_.head_dim(), h = shape_.num_attention_heads, g = shape_.num_key_value_heads;
    if (form_.layout == Layout::llama) {
      linear(prefix + "self_attn.q_proj", h * d, shape_.hidden_size);
      linear(prefix + "self_attn.k_proj", g * d, shape_.hidden_size);
      linear(prefix + "self_attn.v_proj", g * d, shape_.hidden_size);
      linear(prefix + "self_attn.o_proj", shape_.hidden_size, h * d);
      return;
    }
    std::vector<RowRange> rows;
    const std::int64_t group_rows = h / g * d;
    const std::uint64_t q_id = next_matrix_id_;
    for (std::int64_t i = 0; i < g; i++) {
      rows.push_back({q_id, i * group_rows, group_rows});
      rows.push_back({q_id + 1, i * d, d});
      rows.push_back({q_id + 2, i * d, d});
    }
    next_matrix_id_ = q_id + 3;
    linear(prefix + "attention.wqkv", shape_.hidden_size, rows);
    linear(prefix + "attention.wo", shape_.hidden_size, h * d);
  }

  const ModelShape& shape_;
  Form form_;
  std::uint64_t next_matrix_id_ = 0;
  std::vector<PlannedTensor> tensors_;
};

}  // namespace

std::vector<PlannedTensor> plan_tensors(const ModelShape& shape, const Form& form) {
  return Planner(shape, form).plan();
}

}  // namespace lmdeploy::make_model
