#include "convert/tensor_plan.h"

#include <fmt/ranges.h>

#include <set>

#include "base/error.h"

namespace lmdeploy::convert {
namespace {

// A biased linear's bias has the same names with .bias, and as many elements as the weight has rows.
enum class Kind { weight, weight_and_bias };

class Plan {
 public:
  explicit Plan(const GgufFile& file) : file_(file) {}

  // shape: one or two dimensions of the weight.
  void add(const std::string& source, const std::string& target, Shape shape, Kind kind = Kind::weight,
           std::int64_t num_permuted_heads = 0) {
    add_one(source + ".weight", target + ".weight", shape, num_permuted_heads);
    if (kind == Kind::weight_and_bias)
      add_one(source + ".bias", target + ".bias", Shape{shape[0]}, num_permuted_heads);
  }

  // What the file holds beyond the plan would be lost without a word.
  void check_complete() const {
    for (const GgufTensor& tensor : file_.tensors())
      if (used_.count(tensor.name) == 0 && tensor.name != "rope_freqs.weight")
        throw Error(fmt::format("{}: tensor {} has no place in this architecture", file_.path().string(),
                                tensor.name),
                    "The file is of a variant (experts, adapters, ...) that is not supported.");
  }

  std::vector<PlannedTensor> take() { return std::move(tensors_); }

 private:
  void add_one(const std::string& source, const std::string& target, Shape shape,
               std::int64_t num_permuted_heads) {
    const GgufTensor* found = file_.find(source);
    if (found == nullptr)
      throw Error(fmt::format("{}: tensor {} is missing", file_.path().string(), source),
                  "The file is incomplete, or of a variant that is not supported.");
    std::vector<std::int64_t> expected;
    for (int dim = 0; dim < shape.rank(); ++dim) expected.push_back(shape[dim]);
    if (found->shape != expected)
      throw Error(fmt::format("{}: tensor {} has the shape [{}], expected {}", file_.path().string(), source,
                              fmt::join(found->shape, ", "), shape.to_string()),
                  "Metadata and tensors of the file contradict each other; fetch it again.");
    used_.insert(source);
    tensors_.push_back({found, {target, DType::bf16, shape}, num_permuted_heads});
  }

  const GgufFile& file_;
  std::set<std::string> used_;
  std::vector<PlannedTensor> tensors_;
};

void plan_layer(Plan& plan, int layer_idx, const Architecture& architecture, const HfConfig& config) {
  const std::string source = fmt::format("blk.{}.", layer_idx);
  const std::string target = fmt::format("model.layers.{}.", layer_idx);
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t q_len = config.num_attention_heads * config.head_dim;
  const std::int64_t kv_len = config.num_key_value_heads * config.head_dim;
  const bool all_biased = config.attention_bias.value_or(false);
  const bool qkv_biased = all_biased || architecture.bias == Architecture::Bias::qkv;
  const Kind qkv = qkv_biased ? Kind::weight_and_bias : Kind::weight;
  const Kind out = all_biased ? Kind::weight_and_bias : Kind::weight;
  const Kind mlp = config.mlp_bias.value_or(false) ? Kind::weight_and_bias : Kind::weight;
  const std::int64_t q_heads = architecture.permuted_qk ? config.num_attention_heads : 0;
  const std::int64_t k_heads = architecture.permuted_qk ? config.num_key_value_heads : 0;

  plan.add(source + "attn_norm", target + "input_layernorm", {hidden});
  plan.add(source + "attn_q", target + "self_attn.q_proj", {q_len, hidden}, qkv, q_heads);
  plan.add(source + "attn_k", target + "self_attn.k_proj", {kv_len, hidden}, qkv, k_heads);
  plan.add(source + "attn_v", target + "self_attn.v_proj", {kv_len, hidden}, qkv);
  plan.add(source + "attn_output", target + "self_attn.o_proj", {hidden, q_len}, out);
  if (architecture.has_qk_norm) {
    plan.add(source + "attn_q_norm", target + "self_attn.q_norm", {config.head_dim});
    plan.add(source + "attn_k_norm", target + "self_attn.k_norm", {config.head_dim});
  }
  plan.add(source + "ffn_norm", target + "post_attention_layernorm", {hidden});
  plan.add(source + "ffn_gate", target + "mlp.gate_proj", {config.intermediate_size, hidden}, mlp);
  plan.add(source + "ffn_up", target + "mlp.up_proj", {config.intermediate_size, hidden}, mlp);
  plan.add(source + "ffn_down", target + "mlp.down_proj", {hidden, config.intermediate_size}, mlp);
}

}  // namespace

std::int64_t PlannedTensor::source_row(std::int64_t row) const {
  if (num_permuted_heads == 0) return row;
  // The elements of a bias are its rows.
  const std::int64_t head_dim = target.shape[0] / num_permuted_heads;
  const std::int64_t head = row / head_dim;
  const std::int64_t half = row % head_dim / (head_dim / 2);
  const std::int64_t pair = row % (head_dim / 2);
  return head * head_dim + 2 * pair + half;
}

std::vector<PlannedTensor> plan_tensors(const GgufFile& file, const Architecture& architecture,
                                        const HfConfig& config) {
  Plan plan(file);
  plan.add("token_embd", "model.embed_tokens", {config.vocab_size, config.hidden_size});
  for (int layer_idx = 0; layer_idx < config.num_hidden_layers; ++layer_idx)
    plan_layer(plan, layer_idx, architecture, config);
  plan.add("output_norm", "model.norm", {config.hidden_size});
  if (!config.tie_word_embeddings) plan.add("output", "lm_head", {config.vocab_size, config.hidden_size});
  plan.check_complete();
  return plan.take();
}

}  // namespace lmdeploy::convert
