#pragma once
// Attention with the online softmax (Milakov & Gimelshein 2018; Dao 2023, section 3.1), 64 tokens at a time.
// A token block of one kv head is [d / pair][64][pair] of K, then V in blocks of 64 columns (the last one may
// be narrower), each [64 / pair][columns][pair]: both are packed weights, so scores = q K^T and acc +=
// weights V are the matmul kernel, with tokens or columns in its lanes.
//
// What a query gets depends on its own position only: a token that it may not see weighs exactly 0, and a
// block or split of such tokens leaves its state as it was.
#include "ops/cpu/matmul_kernel.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr std::int64_t kFetchBytes = 4 << 10;
inline constexpr int kBlockVectors = kTokenBlock / kLanes;

// The lanes of vector j whose token, `first` + lane, lies in [begin, end).
inline VecInt visible_lanes(int j, std::int64_t first, std::int64_t begin, std::int64_t end) {
  VecInt token;
  for (int i = 0; i < kLanes; i++) token[i] = i;
  token += static_cast<std::int32_t>(j * kLanes);
  return (token >= static_cast<std::int32_t>(begin - first)) &
         (token < static_cast<std::int32_t>(end - first));
}

inline void store_weights(float* p, Vec v) {
  store(p, v);
}

// Scales and masks one row of scores in place; returns their maximum.
inline float finish_scores(const AttentionTile& t, std::int64_t row, std::int64_t first_token) {
  const std::int64_t end = t.first_position + row / t.group + 1;
  const std::int64_t begin = t.window > 0 && end > t.window ? end - t.window : 0;
  const bool all_visible = begin <= first_token && first_token + kTokenBlock <= end;
  float* scores = t.scores + row * kTokenBlock;
  Vec top = splat(-kInfinity);
  for (int j = 0; j < kBlockVectors; j++) {
    Vec s = load(scores + j * kLanes) * t.scale;
    if (!all_visible) s = visible_lanes(j, first_token, begin, end) ? s : splat(-kInfinity);
    store(scores + j * kLanes, s);
    top = larger(s, top);
  }
  return reduce_max(top);
}

// Turns one row of scores into weights, exp(score - base); returns their sum.
template <class X>
float weigh_row(const AttentionTile& t, std::int64_t row, float base) {
  const float* scores = t.scores + row * kTokenBlock;
  X* weights = static_cast<X*>(t.weights) + row * kTokenBlock;
  Vec sum{};
  for (int j = 0; j < kBlockVectors; j++) {
    const Vec e = exp(load(scores + j * kLanes) - base);
    sum += e;
    store_weights(weights + j * kLanes, e);
  }
  return reduce_sum(sum);
}

inline void scale_row(float* acc, float factor, std::int64_t count) {
  for (std::int64_t c = 0; c < count; c += kLanes) store(acc + c, load(acc + c) * factor);
}

// Softmax of up to kLanes rows: weights of this block, and what was accumulated before shrinks to the new
// maximum. Until a row sees its first token its base is 0, which makes its weights 0 instead of NaN.
template <class X>
void weigh_rows(const AttentionTile& t, std::int64_t first_row, std::int64_t count, std::int64_t first_token,
                const SoftmaxState& state) {
  float base[kLanes];
  float shrink[kLanes] = {};
  for (std::int64_t i = 0; i < count; i++) {
    const float old_max = state.max[first_row + i];
    const float block_max = finish_scores(t, first_row + i, first_token);
    const float new_max = block_max > old_max ? block_max : old_max;
    base[i] = new_max == -kInfinity ? 0 : new_max;
    shrink[i] = old_max - base[i];
    state.max[first_row + i] = new_max;
  }
  store(shrink, exp(load(shrink)));
  for (std::int64_t i = 0; i < count; i++) {
    const std::int64_t row = first_row + i;
    state.sum[row] = state.sum[row] * shrink[i] + weigh_row<X>(t, row, base[i]);
    if (shrink[i] != 1.0F) scale_row(state.acc + row * t.acc_stride, shrink[i], t.acc_stride);
  }
}

// The values of a narrow last block of columns, copied to rows of kBlockColumns so that the kernel may read
// whole units.
template <class T>
const T* padded_values(const AttentionTile& t, const T* v, std::int64_t row_elements,
                       std::int64_t num_steps) {
  constexpr std::int64_t kPaddedElements = kBlockColumns * (std::is_same_v<T, bf16_t> ? 2 : 1);
  T* padded = static_cast<T*>(t.v_padded);
  for (std::int64_t step = 0; step < num_steps; step++) {
    T* to = padded + step * kPaddedElements;
    __builtin_memcpy(to, v + step * row_elements, static_cast<std::size_t>(row_elements) * sizeof(T));
    for (std::int64_t i = row_elements; i < kPaddedElements; i++) to[i] = T{};
  }
  return padded;
}

template <class T>
void add_scores(const AttentionTile& t, const T* keys) {
  constexpr std::int64_t kPair = std::is_same_v<T, bf16_t> ? 2 : 1;
  Matmul dot;
  dot.x = t.q;
  dot.x_stride = t.head_dim;
  dot.w = keys;
  dot.w_step = kTokenBlock * kPair;
  dot.num_steps = t.head_dim / kPair;
  dot.y = t.scores;
  dot.y_stride = kTokenBlock;
  dot.num_rows = t.num_rows;
  dot.end_column = kTokenBlock;
  dot.fetch_distance = kFetchBytes;
  multiply<T>(dot);
}

template <class T>
void add_values(const AttentionTile& t, const T* values, std::int64_t num_tokens, float* acc) {
  constexpr std::int64_t kPair = std::is_same_v<T, bf16_t> ? 2 : 1;
  Matmul sum;
  sum.x = t.weights;
  sum.x_stride = kTokenBlock;
  sum.num_steps = (num_tokens + kPair - 1) / kPair;
  sum.y_stride = t.acc_stride;
  sum.num_rows = t.num_rows;
  sum.accumulate = true;
  for (std::int64_t column = 0; column < t.head_dim; column += kBlockColumns) {
    const std::int64_t left = t.head_dim - column, width = left < kBlockColumns ? left : kBlockColumns;
    const T* block = values + column * kTokenBlock;
    const bool whole_units = width % kColumnUnit == 0;
    sum.w = whole_units ? block : padded_values(t, block, width * kPair, sum.num_steps);
    sum.w_step = (whole_units ? width : kBlockColumns) * kPair;
    sum.y = acc + column;
    sum.end_column = width;
    sum.fetch_distance = kFetchBytes;
    multiply<T>(sum);
  }
}

template <class T>
void attend(const AttentionTile& t, std::int64_t first_token, const SoftmaxState& state) {
  const T* keys =
      reinterpret_cast<const T*>(t.cache + t.block_table[first_token / t.block_len] * t.block_stride +
                                 first_token % t.block_len / kTokenBlock * t.token_block_bytes);
  add_scores(t, keys);
  for (std::int64_t row = 0; row < t.num_rows; row += kLanes)
    weigh_rows<LeftOf<T>>(t, row, t.num_rows - row < kLanes ? t.num_rows - row : kLanes, first_token, state);
  // Slots past the last visible token may hold anything, NaN included: the loop ends before them. (The other
  // half of the last pair was zeroed when its token was stored.)
  const std::int64_t num_left = t.first_position + (t.num_rows - 1) / t.group + 1 - first_token;
  add_values(t, keys + t.head_dim * kTokenBlock, num_left < kTokenBlock ? num_left : kTokenBlock, state.acc);
}

inline void merge_attention(const SoftmaxState& total, const SoftmaxState& part, std::int64_t num_rows,
                            std::int64_t acc_stride) {
  for (std::int64_t row = 0; row < num_rows; row++) {
    const float max = part.max[row] > total.max[row] ? part.max[row] : total.max[row];
    const float base = max == -kInfinity ? 0 : max;
    const float a = exp(splat(total.max[row] - base))[0], b = exp(splat(part.max[row] - base))[0];
    total.max[row] = max;
    total.sum[row] = total.sum[row] * a + part.sum[row] * b;
    float* to = total.acc + row * acc_stride;
    const float* from = part.acc + row * acc_stride;
    for (std::int64_t c = 0; c < acc_stride; c += kLanes)
      store(to + c, multiply_add(load(from + c), splat(b), load(to + c) * a));
  }
}

// Adding 0 makes -0 into 0, so that no number of empty steps shows.
template <class To>
void finish_attention(const float* acc, float sum, std::int64_t head_dim, void* y) {
  To* out = static_cast<To*>(y);
  const float factor = 1.0F / sum;
  for_vectors(head_dim,
              [&](std::int64_t i, auto part) { part.write(out + i, part.read(acc + i) * factor + 0.0F); });
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
