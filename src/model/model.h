#pragma once
#include <memory>

#include "model/batch.h"
#include "model/key_centers.h"
#include "model/kv_pool.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// What the engine must know of a model, whatever its architecture.
struct ModelInfo {
  int num_layers = 0;
  std::int32_t vocab_size = 0;               // width of the logits
  std::int32_t hidden_size = 0;              // width of what the head reads
  std::int32_t max_position_embeddings = 0;  // longest context that the weights were made for
  ops::KvLayout kv_layout;
  KeyCenters key_centers;              // of kv_layout with 4 bits
  std::int64_t weight_bytes = 0;       // held in memory
  std::int64_t decode_read_bytes = 0;  // weights that one decode step of one token reads
};

// A cache as the model wants it.
inline KvPool make_kv_pool(Ctx& ctx, const ModelInfo& info, std::int64_t num_blocks) {
  return {ctx, info.kv_layout, info.num_layers, num_blocks, info.key_centers.values};
}

// Immutable after load; all that changes from step to step is a parameter.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;

  // Computes the batch's tokens, adds their keys and values to the pool, and writes the logits of
  // batch.logits_rows. logits: [logits_rows.size(), vocab_size] f32.
  virtual void forward(Ctx& ctx, const Batch& batch, KvPool& pool, const View& logits) const = 0;

  // The same without the head: writes what it would read of batch.logits_rows, the outputs of the final norm.
  // hidden: [logits_rows.size(), hidden_size] f32.
  virtual void forward_hidden(Ctx& ctx, const Batch& batch, KvPool& pool, const View& hidden) const = 0;
};

}  // namespace lmdeploy
