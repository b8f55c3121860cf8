#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops {

// How one layer keeps the keys and values of a block of tokens. Only store_kv, rope_and_store, read_keys,
// attention and store_and_attend look inside. With quant_bits a token's key, or value, of one head is
// head_dim codes q of so many bits, and x = scale * q + minimum with a scale and a minimum in fp16
// (docs/kv_cache.md).
struct KvLayout {
  DType dtype = DType::bf16;  // f32, bf16, f16: what is stored, or what attention multiplies codes by
  std::int32_t num_kv_heads = 0;
  std::int32_t head_dim = 0;    // even
  std::int32_t block_len = 64;  // tokens per block, a multiple of 64
  std::int32_t quant_bits = 0;  // 8 or 4; 0: stored as dtype

  std::int64_t quantized_token_bytes() const {  // K or V of one token and head
    constexpr std::int64_t kScaleAndMinimum = 4;
    return kScaleAndMinimum + (quant_bits == 8 ? head_dim : (std::int64_t{head_dim} + 3) / 4 * 2);
  }
  std::int64_t token_bytes() const {  // K, or V, of one token and head
    return quant_bits == 0 ? head_dim * static_cast<std::int64_t>(dtype_bytes(dtype))
                           : quantized_token_bytes();
  }
  std::int64_t head_bytes() const { return 64 * token_bytes(); }  // K, or V, of one head for 64 tokens
  std::int64_t block_bytes() const {                              // K and V of one block of one layer
    return std::int64_t{2} * num_kv_heads * token_bytes() * block_len;
  }
};

// One layer's part of the paged cache: block b lies at data + b * block_stride. Between its blocks may lie
// those of other layers.
struct KvLayer {
  KvLayout layout;
  void* data = nullptr;
  std::int64_t num_blocks = 0;
  std::int64_t block_stride = 0;  // bytes, at least layout.block_bytes()
  // [num_kv_heads, head_dim], or none: subtracted from every key before 4 bits keep it. That adds the same to
  // all scores of a query, which the softmax does not see.
  const float* key_centers = nullptr;
};

}  // namespace lmdeploy::ops
