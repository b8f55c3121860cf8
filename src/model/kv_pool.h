#pragma once
#include <vector>

#include "ops/kv_layer.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// The paged cache of all layers. Address space is reserved at once; the system makes a page resident on first
// use.
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
  std::vector<Tensor> layers_;  // each [num_blocks * layout.block_bytes()] u8
};

}  // namespace lmdeploy
