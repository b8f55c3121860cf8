// Qwen2 and Qwen2.5: Llama with biases of q, k and v, which config.json does not mention.
#include "model/decoder_reader.h"

namespace lmdeploy {

std::unique_ptr<const Model> build_qwen2(const ModelSource& source) {
  return make_decoder(
      source,
      read_decoder(source, {.qkv_bias = true,
                            .sliding_window = static_cast<std::int32_t>(source.config.sliding_window)}));
}

}  // namespace lmdeploy
