#pragma once
#include <memory>
#include <vector>

#include "checkpoint/hf_config.h"
#include "model/layers.h"
#include "model/linear_group.h"
#include "model/model.h"
#include "model/rope.h"

namespace lmdeploy {

struct DecoderLayer {
  RmsNorm input_norm;  // [hidden_size]
  Attention attention;
  RmsNorm post_attention_norm;  // [hidden_size]
  Mlp mlp;

  std::int64_t bytes() const {
    return input_norm.bytes() + attention.bytes() + post_attention_norm.bytes() + mlp.bytes();
  }
};

// The family of Llama: pre-norm blocks of rotary grouped-query attention and SwiGLU. An architecture's file
// fills this from its own names and shapes.
struct DecoderWeights {
  Tensor embedding;  // [vocab_size, hidden_size] in the file's dtype; empty: the head's rows (tied)
  std::vector<DecoderLayer> layers;
  RmsNorm final_norm;  // [hidden_size]
  Linear head;         // [vocab_size, hidden_size]
};

class Decoder final : public Model {
 public:
  // device: where the weights lie. block_len: tokens per KV block.
  Decoder(Device device, const HfConfig& config, Rope rope, DecoderWeights weights, std::int32_t block_len);

  // Before the model is shared: caches made from info() hold codes of 8 or 4 bits.
  void quantize_cache(std::int32_t bits, KeyCenters centers);

  const ModelInfo& info() const override { return info_; }
  void forward(Ctx& ctx, const Batch& batch, KvPool& pool, const View& logits) const override;
  void forward_hidden(Ctx& ctx, const Batch& batch, KvPool& pool, const View& hidden) const override;

  // One layer alone, for calibration: takes `residual`, [num_tokens, hidden_size] f32, through it in place,
  // or as far as `observe` wants it. Token ids and logits_rows do not matter.
  void forward_layer(Ctx& ctx, int layer_idx, const Batch& batch, KvPool& pool, const View& residual,
                     const LinearObserver& observe) const;

 private:
  class Pass;

  void run(Pass& pass, const Batch& batch, const KvPool& pool, const View& output) const;

  std::int64_t hidden_size_, intermediate_size_, num_heads_, num_kv_heads_, head_dim_;
  Rope rope_;
  DecoderWeights weights_;
  ModelInfo info_;
  std::int64_t max_chunk_ = 0;  // tokens that are computed at once
};

}  // namespace lmdeploy
