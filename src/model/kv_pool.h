#pragma once
#include <span>
#include <vector>

#include "ops/kv_layer.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// The paged cache of all layers, in memory of ctx.device. On the CPU address space is reserved at once; the
// system makes a page resident on first use. A block's layers lie side by side: a sequence that grows by a
// block then touches one place, where layers apart would all come to their next huge page in the same step
// (30 of them, 60 MB to clear, in SmolLM2). Even the first use of one page can take 4 ms, where a virtual
// machine's host has to find the memory: prepare() does that ahead.
class KvPool {
 public:
  // key_centers: [num_layers, num_kv_heads * head_dim] for keys of 4 bits, or empty.
  KvPool(Ctx& ctx, const ops::KvLayout& layout, int num_layers, std::int64_t num_blocks,
         std::span<const float> key_centers = {});

  static std::int64_t block_bytes(const ops::KvLayout& layout, int num_layers) {
    return layout.block_bytes() * num_layers;
  }
  ops::KvLayer layer(int layer_idx) const;

  // Makes a block's memory resident, its contents as they are. False where it is: that has been done before,
  // or it is a card's.
  bool prepare(std::int64_t block_idx);
  std::int64_t prepared_end() const noexcept { return prepared_end_; }  // no block from here on was prepared

  std::int64_t block_bytes() const { return block_bytes(layout_, static_cast<int>(num_layers_)); }
  std::int64_t num_blocks() const noexcept { return num_blocks_; }
  std::int32_t block_len() const noexcept { return layout_.block_len; }

 private:
  ops::KvLayout layout_;
  std::int64_t num_blocks_;
  std::int64_t num_layers_;
  Tensor key_centers_;             // [num_layers, num_kv_heads * head_dim] f32, or empty
  std::vector<bool> is_prepared_;  // [num_blocks]
  std::int64_t prepared_end_ = 0;
  Tensor memory_;  // [num_blocks, num_layers * layout.block_bytes()] u8
};

}  // namespace lmdeploy
