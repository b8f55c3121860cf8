#pragma once
// Half a page, the keys or the values of 64 tokens of one kv head, as it lies in memory:
//   as dtype: [64][head_dim];
//   8 bits:   scales [64] and minima [64] in fp16, then codes [64][head_dim];
//   4 bits:   the same two, then codes [64][two bytes for four dimensions, the last two may be missing].
// A token's row is contiguous, so 16 bytes of it are one cp.async, and ldmatrix takes them apart whatever the
// width of a code is. Where head_dim is a multiple of 8, eight nibbles are one word in the order 0 2 4 6 1 3
// 5 7: masking a shifted word then leaves two neighbouring dimensions in its 16-bit halves.
#include "ops/cuda/kv_blocks.h"

namespace lmdeploy::ops::cuda {

inline constexpr int kParameterBytes = 2 * kPageLen * 2;  // of scales and minima

// Where a sequence's token lies: block of its table, and token in the block.
struct TokenPlace {
  int block_idx;
  int offset;
};
__device__ inline TokenPlace place_of(const KvBlocks& cache, int token) {
  if (cache.block_len == kPageLen) return {token / kPageLen, token % kPageLen};  // without dividing
  return {token / cache.block_len, token % cache.block_len};
}

// The keys of the page that holds token `offset` of a block; its values lie half_bytes behind them.
__device__ inline char* page_of(const KvBlocks& cache, std::int64_t block, int offset, int kv_head) {
  const std::int64_t pages_before = offset / kPageLen * cache.num_kv_heads + kv_head;
  return cache.data + block * cache.block_stride + pages_before * 2 * cache.half_bytes;
}

__device__ inline int code_row_bytes(int head_dim, int bits) {
  return bits == 8 ? head_dim : (head_dim + 3) / 4 * 2;
}

// Where in its row of codes dimension c lies, in nibbles.
__device__ inline int nibble_of(int c, int head_dim) {
  const int j = c % 8;
  return head_dim % 8 == 0 ? c - j + j / 2 + j % 2 * 4 : c;
}

}  // namespace lmdeploy::ops::cuda
