#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops {

// How one layer keeps the keys and values of a block of tokens. Only store_kv and attention look inside.
struct KvLayout {
  DType dtype = DType::bf16;  // f32, bf16, f16
  std::int32_t num_kv_heads = 0;
  std::int32_t head_dim = 0;    // even
  std::int32_t block_len = 64;  // tokens per block, a multiple of 64

  std::int64_t block_bytes() const {  // K and V of one block of one layer
    return std::int64_t{2} * num_kv_heads * head_dim * block_len *
           static_cast<std::int64_t>(dtype_bytes(dtype));
  }
};

// One layer's part of the paged cache: block b lies at data + b * block_stride. Between its blocks may lie
// those of other layers.
struct KvLayer {
  KvLayout layout;
  void* data = nullptr;
  std::int64_t num_blocks = 0;
  std::int64_t block_stride = 0;  // bytes, at least layout.block_bytes()
};

}  // namespace lmdeploy::ops
