#pragma once
#include <span>
#include <string_view>

#include "checkpoint/gguf.h"

namespace lmdeploy::convert {

// How a GGUF architecture maps to a class of transformers. A new one is a row in architectures.cc.
struct Architecture {
  enum class Bias { none, qkv, all_or_none };

  std::string_view gguf_name;  // general.architecture
  std::string_view hf_class;   // config.json's architectures[0]
  std::string_view model_type;
  bool permuted_qk;  // rows of q and k are stored for rope on neighbours; transformers turns halves
  bool has_qk_norm;  // a norm over head_dim of q and k
  Bias bias;         // qkv: always there; all_or_none: on all linears of attention (mlp apart), or on none
};

// The row of the file's architecture. Throws Error: an architecture that is not in the table.
const Architecture& get_architecture(const GgufMetadata& metadata);

}  // namespace lmdeploy::convert
