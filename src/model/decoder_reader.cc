#include "model/decoder_reader.h"

#include <array>
#include <span>
#include <utility>

namespace lmdeploy {
namespace {

Attention read_attention(const ModelSource& source, const std::string& prefix, const DecoderTraits& traits) {
  const HfConfig& config = source.config;
  const std::int64_t query_width = config.num_attention_heads * config.head_dim;
  const std::int64_t key_width = config.num_key_value_heads * config.head_dim;
  const std::array<NamedRows, 3> qkv{{{prefix + "self_attn.q_proj", query_width},
                                      {prefix + "self_attn.k_proj", key_width},
                                      {prefix + "self_attn.v_proj", key_width}}};
  Attention attention = make_attention(config);
  attention.sliding_window = traits.sliding_window;
  attention.qkv = source.weights.linear(qkv, config.hidden_size, traits.qkv_bias);
  attention.output =
      source.weights.linear(prefix + "self_attn.o_proj", config.hidden_size, query_width, traits.output_bias);
  return attention;
}

Mlp read_mlp(const ModelSource& source, const std::string& prefix, const DecoderTraits& traits) {
  const HfConfig& config = source.config;
  const std::array<NamedRows, 2> gate_up{{{prefix + "mlp.gate_proj", config.intermediate_size},
                                          {prefix + "mlp.up_proj", config.intermediate_size}}};
  return {source.weights.linear(gate_up, config.hidden_size, traits.mlp_bias),
          source.weights.linear(prefix + "mlp.down_proj", config.hidden_size, config.intermediate_size,
                                traits.mlp_bias)};
}

}  // namespace

std::string layer_prefix(std::int64_t layer_idx) {
  return fmt::format("model.layers.{}.", layer_idx);
}

RmsNorm read_norm(const ModelSource& source, const std::string& name, std::int64_t n) {
  return {source.weights.vector(name, n), static_cast<float>(source.config.rms_norm_eps)};
}

Attention make_attention(const HfConfig& config) {
  Attention attention;
  attention.num_heads = static_cast<std::int32_t>(config.num_attention_heads);
  attention.num_kv_heads = static_cast<std::int32_t>(config.num_key_value_heads);
  attention.head_dim = static_cast<std::int32_t>(config.head_dim);
  return attention;
}

DecoderLayer read_llama_layer(const ModelSource& source, std::int64_t layer_idx,
                              const DecoderTraits& traits) {
  const std::string prefix = layer_prefix(layer_idx);
  const std::int64_t hidden_size = source.config.hidden_size;
  DecoderLayer layer;
  layer.input_norm = read_norm(source, prefix + "input_layernorm.weight", hidden_size);
  layer.attention = read_attention(source, prefix, traits);
  layer.post_attention_norm = read_norm(source, prefix + "post_attention_layernorm.weight", hidden_size);
  layer.mlp = read_mlp(source, prefix, traits);
  return layer;
}

// The values make o_proj's input only without grouped queries: with them a value channel feeds several
// columns.
std::vector<LinearGroup> llama_linear_groups() {
  using Maker = LinearGroup::Maker;
  return {{LinearInput::qkv,
           {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
           Maker::norm,
           "input_layernorm"},
          {LinearInput::attention_output, {"self_attn.o_proj"}, Maker::linear, "self_attn.v_proj"},
          {LinearInput::gate_up, {"mlp.gate_proj", "mlp.up_proj"}, Maker::norm, "post_attention_layernorm"},
          {LinearInput::down, {"mlp.down_proj"}, Maker::linear, "mlp.up_proj"}};
}

namespace {

// Tokens go in by the embedding and come out by the head. Where the two are tied one matrix serves both,
// unless the head is rounded: an embedding is looked up, not multiplied, and its rounding would gain nothing.
void read_ends(const ModelSource& source, const OuterNames& outer, DecoderWeights& weights) {
  const std::int64_t v = source.config.vocab_size, k = source.config.hidden_size;
  const bool tied = source.config.tie_word_embeddings;
  weights.head = source.weights.head(tied ? outer.embedding : outer.head, v, k);
  if (!tied || weights.head.parts.front().weight.format.quant)
    weights.embedding = source.weights.table(outer.embedding, v, k);
  if (tied &&
      source.weights.contains(outer.head))  // a copy that some tools save; transformers ignores it too
    source.weights.skip(outer.head, v, k);
}

}  // namespace

DecoderWeights read_decoder(const ModelSource& source, const Architecture& architecture) {
  const HfConfig& config = source.config;
  const OuterNames& outer = architecture.outer;
  DecoderWeights weights;
  for (std::int64_t i = 0; i < config.num_hidden_layers; i++)
    weights.layers.push_back(architecture.read_layer(source, i));
  weights.final_norm = read_norm(source, outer.final_norm, config.hidden_size);
  read_ends(source, outer, weights);
  return weights;
}

}  // namespace lmdeploy
