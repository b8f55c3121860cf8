// Mistral 7B and its successors: Llama without biases, with a sliding window in every layer (none since
// v0.2).
#include "model/decoder_reader.h"

namespace lmdeploy {

std::unique_ptr<const Model> build_mistral(const ModelSource& source) {
  return make_decoder(
      source,
      read_decoder(source, {.sliding_window = static_cast<std::int32_t>(source.config.sliding_window)}));
}

}  // namespace lmdeploy
