#include "model/kv_pool.h"

#include "base/error.h"

namespace lmdeploy {

KvPool::KvPool(Allocator& allocator, const ops::KvLayout& layout, int num_layers, std::int64_t num_blocks)
    : layout_(layout), num_blocks_(num_blocks) {
  CHECK(num_layers > 0 && num_blocks > 0, "num_layers {}, num_blocks {}", num_layers, num_blocks);
  CHECK(layout.block_bytes() > 0, "the layout of a block is empty");
  layers_.reserve(static_cast<std::size_t>(num_layers));
  for (int i = 0; i < num_layers; i++)
    layers_.emplace_back(allocator, DType::u8, Shape{num_blocks * layout.block_bytes()});
}

ops::KvLayer KvPool::layer(int layer_idx) const {
  const Tensor& memory = layers_.at(static_cast<std::size_t>(layer_idx));
  return {layout_, memory.view().data, num_blocks_};
}

}  // namespace lmdeploy
