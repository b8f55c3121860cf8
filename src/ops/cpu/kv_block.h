#pragma once
// What the attention kernel asks of 64 tokens of one kv head: K and V as packed weights of the matmul kernel,
// and what its sums stand for. Here a cache that holds floats; quantized_kv_block.h has the other kind.
//
// K is [d / pair][64][pair], V lies behind it in blocks of 64 columns (the last one may be narrower), each
// [64 / pair][columns][pair].
#include "ops/cpu/matmul_kernel.h"

namespace lmdeploy::ops::cpu {
namespace {

// A packed matrix: step s lies at data + s * step. What is to be fetched meanwhile: see Matmul.
template <class T>
struct Operand {
  const T* data;
  std::int64_t step;  // elements
  std::int64_t fetch_distance = 0;
  const char* next = nullptr;
  std::int64_t next_bytes = 0;

  void put_into(Matmul& m) const {
    m.w = data;
    m.w_step = step;
    m.fetch_distance = fetch_distance;
    m.next = next;
    m.next_bytes = next_bytes;
  }
};

template <class T>
constexpr std::int64_t kPairOf = std::is_same_v<T, bf16_t> ? 2 : 1;

template <class T>
class FloatBlock {
 public:
  using Type = T;
  static constexpr bool kQuantized = false;

  explicit FloatBlock(const AttentionTile& t)
      : t_(t), keys_(reinterpret_cast<const T*>(t.data)), values_(keys_ + t.head_dim * kTokenBlock) {}

  Operand<T> keys() const { return {keys_, kTokenBlock * kPairOf<T>, kFetchBytes}; }

  // `width` columns of the values of the first num_tokens, readable in whole units of columns.
  Operand<T> values(std::int64_t column, std::int64_t width, std::int64_t num_tokens) const {
    const T* block = values_ + column * kTokenBlock;
    if (width % kColumnUnit == 0) return {block, width * kPairOf<T>, kFetchBytes};
    return padded(block, width * kPairOf<T>, (num_tokens + kPairOf<T> - 1) / kPairOf<T>);
  }

 private:
  static constexpr std::int64_t kFetchBytes = 4 << 10;

  Operand<T> padded(const T* block, std::int64_t row_elements, std::int64_t num_steps) const {
    constexpr std::int64_t kPaddedElements = kBlockColumns * kPairOf<T>;
    T* const rows = static_cast<T*>(t_.unpacked);
    for (std::int64_t step = 0; step < num_steps; step++) {
      T* to = rows + step * kPaddedElements;
      __builtin_memcpy(to, block + step * row_elements, static_cast<std::size_t>(row_elements) * sizeof(T));
      for (std::int64_t i = row_elements; i < kPaddedElements; i++) to[i] = T{};
    }
    return {rows, kPaddedElements};
  }

  const AttentionTile& t_;
  const T* keys_;
  const T* values_;
};

}  // namespace
}  // namespace lmdeploy::ops::cpu
