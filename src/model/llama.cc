// Llama 2, 3, 3.1, 3.2 and what shares their architecture (SmolLM2, Yi, ...).
#include "model/decoder_reader.h"

namespace lmdeploy {

std::unique_ptr<const Model> build_llama(const ModelSource& source) {
  const bool attention_bias = source.config.attention_bias.value_or(false);
  return make_decoder(source, read_decoder(source, {.qkv_bias = attention_bias,
                                                    .output_bias = attention_bias,
                                                    .mlp_bias = source.config.mlp_bias.value_or(false)}));
}

}  // namespace lmdeploy
