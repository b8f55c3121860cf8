// Mistral 7B and its successors: Llama without biases, with a sliding window in every layer (none since
// v0.2).
#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

DecoderLayer read_layer(const ModelSource& source, std::int64_t layer_idx) {
  return read_llama_layer(source, layer_idx,
                          {.sliding_window = static_cast<std::int32_t>(source.config.sliding_window)});
}

}  // namespace

Architecture mistral() {
  return {"MistralForCausalLM", kLlamaOuterNames, read_layer, llama_linear_groups()};
}

}  // namespace lmdeploy
