// InternLM2's biases, which no golden has: the same random model in Llama's layout and in InternLM2's.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/writer.h"
#include "model/model_session.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kHidden = 24, kHeads = 4, kKvHeads = 2, kHeadDim = 6, kInner = 20, kVocab = 50;

struct Values {
  Shape shape;
  std::vector<float> data;

  // Rows [begin, begin + count).
  std::vector<float> rows(std::int64_t begin, std::int64_t count) const {
    const std::int64_t width = shape.num_elements() / shape[0];
    return {data.begin() + begin * width, data.begin() + (begin + count) * width};
  }
};
using Tensors = std::map<std::string, Values>;

class RandomModel {
 public:
  RandomModel() {
    add("model.embed_tokens.weight", {kVocab, kHidden});
    add("model.norm.weight", {kHidden});
    add("lm_head.weight", {kVocab, kHidden});
    add(layer + "input_layernorm.weight", {kHidden});
    add(layer + "post_attention_layernorm.weight", {kHidden});
    add(layer + "mlp.gate_proj.weight", {kInner, kHidden});
    add(layer + "mlp.up_proj.weight", {kInner, kHidden});
    add(layer + "mlp.down_proj.weight", {kHidden, kInner});
    add_linear(layer + "self_attn.q_proj", kHeads * kHeadDim, kHidden);
    add_linear(layer + "self_attn.k_proj", kKvHeads * kHeadDim, kHidden);
    add_linear(layer + "self_attn.v_proj", kKvHeads * kHeadDim, kHidden);
    add_linear(layer + "self_attn.o_proj", kHidden, kHeads * kHeadDim);
  }

  const Tensors& llama() const { return tensors_; }

  Tensors internlm2() const {
    Tensors result;
    const std::map<std::string, std::string> renamed{
        {"model.embed_tokens.weight", "model.tok_embeddings.weight"},
        {"model.norm.weight", "model.norm.weight"},
        {"lm_head.weight", "output.weight"},
        {layer + "input_layernorm.weight", layer + "attention_norm.weight"},
        {layer + "post_attention_layernorm.weight", layer + "ffn_norm.weight"},
        {layer + "mlp.gate_proj.weight", layer + "feed_forward.w1.weight"},
        {layer + "mlp.up_proj.weight", layer + "feed_forward.w3.weight"},
        {layer + "mlp.down_proj.weight", layer + "feed_forward.w2.weight"},
        {layer + "self_attn.o_proj.weight", layer + "attention.wo.weight"},
        {layer + "self_attn.o_proj.bias", layer + "attention.wo.bias"}};
    for (const auto& [theirs, ours] : renamed) result[ours] = tensors_.at(theirs);
    constexpr std::int64_t num_rows = (kHeads + 2 * kKvHeads) * kHeadDim;
    result[layer + "attention.wqkv.weight"] = {Shape{num_rows, kHidden}, grouped(".weight")};
    result[layer + "attention.wqkv.bias"] = {Shape{num_rows}, grouped(".bias")};
    return result;
  }

 private:
  void add(const std::string& name, Shape shape) {
    std::mt19937 random(static_cast<unsigned>(tensors_.size()));
    std::normal_distribution<float> normal(0, 0.3F);
    std::vector<float> data(static_cast<std::size_t>(shape.num_elements()));
    for (float& value : data) value = normal(random);
    tensors_[name] = {shape, data};
  }
  void add_linear(const std::string& name, std::int64_t n, std::int64_t k) {
    add(name + ".weight", {n, k});
    add(name + ".bias", {n});
  }
  std::vector<float> grouped(const std::string& suffix) const {
    std::vector<float> result;
    const auto append = [&](const std::string& name, std::int64_t begin, std::int64_t count) {
      const auto rows = tensors_.at(layer + "self_attn." + name + suffix).rows(begin, count);
      result.insert(result.end(), rows.begin(), rows.end());
    };
    constexpr std::int64_t group_rows = kHeads / kKvHeads * kHeadDim;
    for (std::int64_t g = 0; g < kKvHeads; g++) {
      append("q_proj", g * group_rows, group_rows);
      append("k_proj", g * kHeadDim, kHeadDim);
      append("v_proj", g * kHeadDim, kHeadDim);
    }
    return result;
  }

  const std::string layer = "model.layers.0.";
  Tensors tensors_;
};

std::vector<Logits> run(const Tensors& tensors, const std::string& architecture, const char* bias_key) {
  const TempFolder temp;
  const std::filesystem::path& folder = temp.path();
  const nlohmann::json config{{"architectures", {architecture}},
                              {"model_type", architecture == "LlamaForCausalLM" ? "llama" : "internlm2"},
                              {"torch_dtype", "float32"},
                              {"vocab_size", kVocab},
                              {"hidden_size", kHidden},
                              {"intermediate_size", kInner},
                              {"num_hidden_layers", 1},
                              {"num_attention_heads", kHeads},
                              {"num_key_value_heads", kKvHeads},
                              {"max_position_embeddings", 64},
                              {"rms_norm_eps", 1e-5},
                              {"rope_theta", 10000.0},
                              {bias_key, true}};
  std::ofstream(folder / "config.json") << config;
  std::vector<TensorSpec> specs;
  for (const auto& [name, values] : tensors) specs.push_back({name, DType::f32, values.shape});
  CheckpointWriter writer(folder, specs);
  for (const auto& [name, values] : tensors) writer.write(name, std::as_bytes(std::span(values.data)));
  writer.finish();

  Cpu cpu;
  const auto model = load_model(cpu.ctx, folder, {});
  auto logits = ModelSession(cpu.ctx, *model, 1, 64).prefill(0, random_ids(30, kVocab, 1), 30);
  return logits;
}

TEST(InternLM2, BiasesAreRegroupedAsTheRowsAre) {
  const RandomModel model;
  Tensors without_bias = model.internlm2();
  without_bias.at("model.layers.0.attention.wqkv.bias").data.assign(48, 0.0F);
  const auto llama = run(model.llama(), "LlamaForCausalLM", "attention_bias");
  EXPECT_TRUE(run(model.internlm2(), "InternLM2ForCausalLM", "bias") == llama);
  EXPECT_FALSE(run(without_bias, "InternLM2ForCausalLM", "bias") == llama);
}

}  // namespace
}  // namespace lmdeploy::testing
