// Qwen3 (dense): Llama with an rms_norm of every query and key head before the rotation.
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

DecoderLayer read_layer(const ModelSource& source, std::int64_t layer_idx) {
  const HfConfig& config = source.config;
  const bool bias = config.attention_bias.value_or(false);
  DecoderLayer layer = read_llama_layer(source, layer_idx,
                                        {.qkv_bias = bias,
                                         .output_bias = bias,
                                         .sliding_window = static_cast<std::int32_t>(config.sliding_window)});
  const std::string prefix = layer_prefix(layer_idx) + "self_attn.";
  layer.attention.q_norm = read_norm(source, prefix + "q_norm.weight", config.head_dim);
  layer.attention.k_norm = read_norm(source, prefix + "k_norm.weight", config.head_dim);
  return layer;
}

}  // namespace

Architecture qwen3() {
  return {"Qwen3ForCausalLM", kLlamaOuterNames, read_layer, llama_linear_groups()};
}

}  // namespace lmdeploy
