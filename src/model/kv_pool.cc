#include "model/kv_pool.h"

#include <algorithm>

#include "base/error.h"
#include "ops/ops.h"

namespace lmdeploy {
namespace {

Tensor copy_centers(Ctx& ctx, std::span<const float> values, const Shape& shape) {
  if (values.empty()) return {};
  CHECK(std::ssize(values) == shape.num_elements(), "{} centres, expected {}", values.size(),
        shape.to_string());
  Tensor result(*ctx.allocator, DType::f32, shape);
  const View source(const_cast<float*>(values.data()), DType::f32, shape);  // only read
  ops::copy_from_host(ctx, source, result);
  return result;
}

}  // namespace

KvPool::KvPool(Ctx& ctx, const ops::KvLayout& layout, int num_layers, std::int64_t num_blocks,
               std::span<const float> key_centers)
    : layout_(layout), num_blocks_(num_blocks), num_layers_(num_layers) {
  CHECK(num_layers > 0 && num_blocks > 0, "num_layers {}, num_blocks {}", num_layers, num_blocks);
  CHECK(layout.block_bytes() > 0, "the layout of a block is empty");
  key_centers_ =
      copy_centers(ctx, key_centers, {num_layers, std::int64_t{layout.num_kv_heads} * layout.head_dim});
  memory_ = Tensor(*ctx.allocator, DType::u8, Shape{num_blocks, block_bytes(layout, num_layers)});
  const bool is_resident = ctx.device != Device::cpu;
  is_prepared_.resize(static_cast<std::size_t>(num_blocks), is_resident);
  if (is_resident) prepared_end_ = num_blocks;
}

ops::KvLayer KvPool::layer(int layer_idx) const {
  CHECK(layer_idx >= 0 && layer_idx < num_layers_, "layer {} of {}", layer_idx, num_layers_);
  return {layout_, memory_.view().as<std::uint8_t>() + layer_idx * layout_.block_bytes(), num_blocks_,
          memory_.view().row_stride,
          key_centers_.empty() ? nullptr : key_centers_.view().row<float>(layer_idx)};
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
