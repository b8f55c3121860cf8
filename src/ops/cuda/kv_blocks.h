#pragma once
// One layer's cache as kernels get it: a KvLayer without methods.
#include <cstdint>

#include "tensor/dtype.h"

namespace lmdeploy::ops::cuda {

inline constexpr int kPageLen = 64;

// Block b lies at data + b * block_stride. It is made of pages, 64 tokens of one kv head, whose keys and
// values lie side by side: [block_len / 64][num_kv_heads][K, V][half_bytes] (kv_block.cuh tells of a half).
struct KvBlocks {
  char* data;
  std::int64_t block_stride;  // bytes
  std::int64_t half_bytes;    // K, or V, of a page
  const float* key_centers;   // [num_kv_heads, head_dim] or none
  std::int32_t block_len;
  std::int32_t num_kv_heads;
  std::int32_t head_dim;
  std::int32_t quant_bits;
  DType dtype;
};

}  // namespace lmdeploy::ops::cuda
