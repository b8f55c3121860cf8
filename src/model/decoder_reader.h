#pragma once
// What the architectures' files share: a decoder layer's weights under the names that Llama introduced in
// transformers and most of its successors kept (model.layers.N.self_attn.q_proj, mlp.gate_proj, ...).
#include <string>
#include <vector>

#include "model/architectures.h"

namespace lmdeploy {

inline const OuterNames kLlamaOuterNames{"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"};

// Which linear layers have biases, and what the attention sees.
struct DecoderTraits {
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  std::int32_t sliding_window = 0;  // tokens, 0: none
};

std::string layer_prefix(std::int64_t layer_idx);  // "model.layers.3."

DecoderLayer read_llama_layer(const ModelSource& source, std::int64_t layer_idx, const DecoderTraits& traits);

// Of the layers that read_llama_layer reads.
std::vector<LinearGroup> llama_linear_groups();

RmsNorm read_norm(const ModelSource& source, const std::string& name, std::int64_t n);

// Attention with heads and sizes from config.json, without weights.
Attention make_attention(const HfConfig& config);

// All of a model's weights. With tie_word_embeddings the embedding becomes the head.
DecoderWeights read_decoder(const ModelSource& source, const Architecture& architecture);

}  // namespace lmdeploy
