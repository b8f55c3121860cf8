#pragma once
#include "ops/kv_layer.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// The paged cache of all layers. Address space is reserved at once; the system makes a page resident on first
// use. A block's layers lie side by side: a sequence that grows by a block then touches one place, where
// layers apart would all come to their next huge page in the same step (30 of them, 60 MB to clear, in
// SmolLM2).
class KvPool {
 public:
  KvPool(Allocator& allocator, const ops::KvLayout& layout, int num_layers, std::int64_t num_blocks);

  static std::int64_t block_bytes(const ops::KvLayout& layout, int num_layers) {
    return layout.block_bytes() * num_layers;
  }
  ops::KvLayer layer(int layer_idx) const;
  std::int64_t num_blocks() const noexcept { return num_blocks_; }
  std::int32_t block_len() const noexcept { return layout_.block_len; }

 private:
  ops::KvLayout layout_;
  std::int64_t num_blocks_;
  std::int64_t num_layers_;
  Tensor memory_;  // [num_blocks, num_layers * layout.block_bytes()] u8
};

}  // namespace lmdeploy
