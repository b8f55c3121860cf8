#pragma once
#include "ops/cpu/kernels.h"
#include "ops/kv_layer.h"

namespace lmdeploy::ops::cpu {

// Where kv head `head` begins in the 64 tokens around a slot: its keys, then its values.
inline char* token_block_data(const KvLayer& cache, std::int64_t slot, std::int64_t head) {
  const KvLayout& layout = cache.layout;
  return static_cast<char*>(cache.data) + slot / layout.block_len * cache.block_stride +
         (slot % layout.block_len / kTokenBlock * layout.num_kv_heads + head) * 2 * layout.head_bytes();
}

// One token's keys and values, [num_kv_heads, head_dim] each, as quantized_kv_block.h reads them.
void store_quantized_token(const Kernels& kernels, const float* k, const float* v, const KvLayer& cache,
                           std::int64_t slot);

}  // namespace lmdeploy::ops::cpu
