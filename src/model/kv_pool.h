#pragma once
#include <span>

#include "ops/kv_layer.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// The paged cache of all layers. Address space is reserved at once; the system makes a page resident on first
// use. A block's layers lie side by side: a sequence that grows by a block then touches one place, where
// layers apart would all come to their next huge page in the same step (30 of them, 60 MB to clear, in
// SmolLM2).
class KvPool {
 public:
  // key_centers: [num_layers, num_kv_heads * head_dim] for keys of 4 bits, or empty; must outlive the pool.
  KvPool(Allocator& allocator, const ops::KvLayout& layout, int num_layers, std::int64_t num_blocks,
         std::span<const float> key_centers = {});

  static std::int64_t block_bytes(const ops::KvLayout& layout, int num_layers) {
    return layout.block_bytes() * num_layers;
  }
  ops::KvLayer layer(int layer_idx) const;
  std::int64_t num_blocks() const noexcept { return num_blocks_; }
  std::int32_t block_len() const noexcept { return layout_.block_len; }

 private:
  std::int64_t layer_width() const { return std::int64_t{layout_.num_kv_heads} * layout_.head_dim; }

  ops::KvLayout layout_;
  std::int64_t num_blocks_;
  std::int64_t num_layers_;
  std::span<const float> key_centers_;
  Tensor memory_;  // [num_blocks, num_layers * layout.block_bytes()] u8
};

}  // namespace lmdeploy
