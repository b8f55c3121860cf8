// Qwen3 (dense): Llama with an rms_norm of every query and key head before the rotation.
#include <utility>

#include "model/decoder_reader.h"

namespace lmdeploy {

std::unique_ptr<const Model> build_qwen3(const ModelSource& source) {
  const HfConfig& config = source.config;
  const bool bias = config.attention_bias.value_or(false);
  DecoderWeights weights =
      read_decoder(source, {.qkv_bias = bias,
                            .output_bias = bias,
                            .sliding_window = static_cast<std::int32_t>(config.sliding_window)});
  for (std::int64_t i = 0; i < config.num_hidden_layers; i++) {
    Attention& attention = weights.layers[static_cast<std::size_t>(i)].attention;
    attention.q_norm = read_norm(source, layer_prefix(i) + "self_attn.q_norm.weight", config.head_dim);
    attention.k_norm = read_norm(source, layer_prefix(i) + "self_attn.k_norm.weight", config.head_dim);
  }
  return make_decoder(source, std::move(weights));
}

}  // namespace lmdeploy
