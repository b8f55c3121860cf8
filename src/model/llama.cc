// Llama 2, 3, 3.1, 3.2 and what shares their architecture (SmolLM2, Yi, ...).
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

DecoderLayer read_layer(const ModelSource& source, std::int64_t layer_idx) {
  const bool attention_bias = source.config.attention_bias.value_or(false);
  return read_llama_layer(source, layer_idx,
                          {.qkv_bias = attention_bias,
                           .output_bias = attention_bias,
                           .mlp_bias = source.config.mlp_bias.value_or(false)});
}

}  // namespace

Architecture llama() {
  return {"LlamaForCausalLM", kLlamaOuterNames, read_layer, llama_linear_groups()};
}

}  // namespace lmdeploy
