// Qwen2 and Qwen2.5: Llama with biases of q, k and v, which config.json does not mention.
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

DecoderLayer read_layer(const ModelSource& source, std::int64_t layer_idx) {
  return read_llama_layer(
      source, layer_idx,
      {.qkv_bias = true, .sliding_window = static_cast<std::int32_t>(source.config.sliding_window)});
}

}  // namespace

Architecture qwen2() {
  return {"Qwen2ForCausalLM", kLlamaOuterNames, read_layer, llama_linear_groups()};
}

}  // namespace lmdeploy
