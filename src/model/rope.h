#pragma once
#include <cstdint>
#include <vector>

#include "checkpoint/hf_config.h"

namespace lmdeploy {

// What ops::rope_table needs of a model's rotary embedding.
struct Rope {
  std::vector<float> inv_freq;  // [head_dim / 2], radians per position
  float scale = 1;              // of cos and sin: yarn's attention factor
};

// The rope types of transformers: default, linear, dynamic, llama3, yarn. Throws Error on any other.
//
// dynamic: while session_len <= max_position_embeddings the frequencies are the plain ones. Beyond it
// transformers raises the base with every token, so that keys cached earlier were rotated by another base
// than the query that meets them. Here the base is computed once, for session_len: one base for the process,
// and cached and recomputed answers agree.
Rope make_rope(const RopeConfig& config, std::int64_t head_dim, std::int64_t max_position_embeddings,
               std::int64_t session_len);

}  // namespace lmdeploy
