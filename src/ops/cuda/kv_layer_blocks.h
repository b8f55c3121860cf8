#pragma once
#include "base/error.h"
#include "ops/cuda/kv_blocks.h"
#include "ops/kv_layer.h"

namespace lmdeploy::ops::cuda {

// A KvLayer for kernels, which read it 16 bytes at a time.
inline KvBlocks blocks_of(const KvLayer& cache, const char* op) {
  constexpr std::int64_t kAlignment = 16;
  const KvLayout& layout = cache.layout;
  CHECK(
      reinterpret_cast<std::uintptr_t>(cache.data) % kAlignment == 0 && cache.block_stride % kAlignment == 0,
      "{}: the blocks of the cache are not aligned to {} bytes", op, kAlignment);
  KvBlocks blocks{};
  blocks.data = static_cast<char*>(cache.data);
  blocks.block_stride = cache.block_stride;
  blocks.half_bytes = layout.head_bytes();
  blocks.key_centers = cache.key_centers;
  blocks.block_len = layout.block_len;
  blocks.num_kv_heads = layout.num_kv_heads;
  blocks.head_dim = layout.head_dim;
  blocks.quant_bits = layout.quant_bits;
  blocks.dtype = layout.dtype;
  return blocks;
}

}  // namespace lmdeploy::ops::cuda
