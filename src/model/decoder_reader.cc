#include "model/decoder_reader.h"

#include <array>
#include <span>
#include <utility>

namespace lmdeploy {
namespace {

// Tensors prefix + name + ".weight" (and ".bias"), one below the other.
Linear read_stacked(WeightReader& reader, std::span<const NamedRows> parts, std::int64_t k, bool with_bias) {
  std::vector<NamedRows> weights, biases;
  for (const NamedRows& part : parts) {
    weights.push_back({part.name + ".weight", part.num_rows});
    biases.push_back({part.name + ".bias", part.num_rows});
  }
  Linear linear;
  linear.weight = reader.matrix(weights, k);
  if (with_bias) linear.bias = reader.vector(biases);
  return linear;
}

Attention read_attention(const ModelSource& source, const std::string& prefix, const DecoderTraits& traits) {
  const HfConfig& config = source.config;
  const std::int64_t query_width = config.num_attention_heads * config.head_dim;
  const std::int64_t key_width = config.num_key_value_heads * config.head_dim;
  const std::array<NamedRows, 3> qkv{{{prefix + "self_attn.q_proj", query_width},
                                      {prefix + "self_attn.k_proj", key_width},
                                      {prefix + "self_attn.v_proj", key_width}}};
  const std::array<NamedRows, 1> output{{{prefix + "self_attn.o_proj", config.hidden_size}}};
  Attention attention = make_attention(config);
  attention.sliding_window = traits.sliding_window;
  attention.qkv = read_stacked(source.weights, qkv, config.hidden_size, traits.qkv_bias);
  attention.output = read_stacked(source.weights, output, query_width, traits.output_bias);
  return attention;
}

Mlp read_mlp(const ModelSource& source, const std::string& prefix, const DecoderTraits& traits) {
  const HfConfig& config = source.config;
  const std::array<NamedRows, 2> gate_up{{{prefix + "mlp.gate_proj", config.intermediate_size},
                                          {prefix + "mlp.up_proj", config.intermediate_size}}};
  const std::array<NamedRows, 1> down{{{prefix + "mlp.down_proj", config.hidden_size}}};
  return {read_stacked(source.weights, gate_up, config.hidden_size, traits.mlp_bias),
          read_stacked(source.weights, down, config.intermediate_size, traits.mlp_bias)};
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

DecoderWeights read_decoder(const ModelSource& source, const DecoderTraits& traits) {
  const HfConfig& config = source.config;
  DecoderWeights weights;
  for (std::int64_t i = 0; i < config.num_hidden_layers; i++) {
    const std::string prefix = layer_prefix(i);
    DecoderLayer layer;
    layer.input_norm = read_norm(source, prefix + "input_layernorm.weight", config.hidden_size);
    layer.attention = read_attention(source, prefix, traits);
    layer.post_attention_norm =
        read_norm(source, prefix + "post_attention_layernorm.weight", config.hidden_size);
    layer.mlp = read_mlp(source, prefix, traits);
    weights.layers.push_back(std::move(layer));
  }
  read_outer(source, {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}, weights);
  return weights;
}

void read_outer(const ModelSource& source, const OuterNames& names, DecoderWeights& weights) {
  const HfConfig& config = source.config;
  const bool tied = config.tie_word_embeddings;
  weights.final_norm = read_norm(source, names.final_norm, config.hidden_size);
  weights.head.weight =
      source.weights.matrix(tied ? names.embedding : names.head, config.vocab_size, config.hidden_size);
  if (!tied)
    weights.embedding = source.weights.table(names.embedding, config.vocab_size, config.hidden_size);
  else if (source.weights.contains(names.head))  // a copy that some tools save; transformers ignores it too
    source.weights.skip(names.head, config.vocab_size, config.hidden_size);
}

std::unique_ptr<const Model> make_decoder(const ModelSource& source, DecoderWeights weights) {
  const HfConfig& config = source.config;
  Rope rope =
      make_rope(config.rope, config.head_dim, config.max_position_embeddings, source.options.session_len);
  return std::make_unique<const Decoder>(config, std::move(rope), std::move(weights),
                                         source.options.block_len);
}

}  // namespace lmdeploy
