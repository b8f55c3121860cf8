#pragma once
// What the architectures' files share: a decoder's weights under the names that Llama introduced in
// transformers and most of its successors kept (model.layers.N.self_attn.q_proj, mlp.gate_proj, ...).
#include <memory>
#include <string>

#include "model/architectures.h"
#include "model/decoder.h"

namespace lmdeploy {

// Which linear layers have biases, and what the attention sees.
struct DecoderTraits {
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  std::int32_t sliding_window = 0;  // tokens, 0: none
};

std::string layer_prefix(std::int64_t layer_idx);  // "model.layers.3."

DecoderWeights read_decoder(const ModelSource& source, const DecoderTraits& traits);

RmsNorm read_norm(const ModelSource& source, const std::string& name, std::int64_t n);

// Attention with heads and sizes from config.json, without weights.
Attention make_attention(const HfConfig& config);

// Names of what lies outside the layers.
struct OuterNames {
  std::string embedding, final_norm, head;
};
// Reads them into `weights`. With tie_word_embeddings the embedding becomes the head.
void read_outer(const ModelSource& source, const OuterNames& names, DecoderWeights& weights);

// The model, with the rotary embedding that config.json describes.
std::unique_ptr<const Model> make_decoder(const ModelSource& source, DecoderWeights weights);

}  // namespace lmdeploy
