#include "model/kv_pool.h"

#include <algorithm>

#include "base/error.h"

namespace lmdeploy {

KvPool::KvPool(Allocator& allocator, const ops::KvLayout& layout, int num_layers, std::int64_t num_blocks,
               std::span<const float> key_centers)
    : layout_(layout), num_blocks_(num_blocks), num_layers_(num_layers), key_centers_(key_centers) {
  CHECK(num_layers > 0 && num_blocks > 0, "num_layers {}, num_blocks {}", num_layers, num_blocks);
  CHECK(layout.block_bytes() > 0, "the layout of a block is empty");
  CHECK(key_centers.empty() || std::ssize(key_centers) == num_layers_ * layer_width(),
        "{} centres of {} layers of {} channels", key_centers.size(), num_layers, layer_width());
  memory_ = Tensor(allocator, DType::u8, Shape{num_blocks, block_bytes(layout, num_layers)});
  is_prepared_.resize(static_cast<std::size_t>(num_blocks));
}

ops::KvLayer KvPool::layer(int layer_idx) const {
  CHECK(layer_idx >= 0 && layer_idx < num_layers_, "layer {} of {}", layer_idx, num_layers_);
  return {
      layout_, memory_.view().as<std::uint8_t>() + layer_idx * layout_.block_bytes(), num_blocks_,
      memory_.view().row_stride,
      key_centers_.empty() ? nullptr : &key_centers_[static_cast<std::size_t>(layer_idx * layer_width())]};
}

bool KvPool::prepare(std::int64_t block_idx) {
  const auto i = static_cast<std::size_t>(block_idx);
  if (is_prepared_.at(i)) return false;
  is_prepared_[i] = true;
  if (make_resident(memory_.view().row<std::uint8_t>(block_idx), static_cast<std::size_t>(block_bytes())))
    prepared_end_ = std::max(prepared_end_, block_idx + 1);
  return true;
}

}  // namespace lmdeploy
