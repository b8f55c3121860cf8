#pragma once
// Attention with the online softmax (Milakov & Gimelshein 2018; Dao 2023, section 3.1), 64 tokens at a time.
// A token block gives K and V as packed weights (kv_block.h), so scores = q K^T and acc += weights V are the
// matmul kernel, with tokens or columns in its lanes.
//
// What a query gets depends on its own position only: a token that it may not see weighs exactly 0, and a
// block or split of such tokens leaves its state as it was.
#include "ops/cpu/quantized_kv_block.h"

namespace lmdeploy::ops::cpu {
namespace {

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

// Sum of a row of queries, which every key's offset is multiplied by.
template <class X>
float query_sum(const AttentionTile& t, std::int64_t row) {
  Vec sum{};
  for_vectors(t.head_dim, [&](std::int64_t i, auto part) {
    sum += part.read(static_cast<const X*>(t.q) + row * t.head_dim + i);
  });
  return reduce_sum(sum);
}

// Scales and masks one row of scores in place; returns their maximum.
template <class Block>
float finish_scores(const AttentionTile& t, const Block& block, std::int64_t row, std::int64_t first_token) {
  const std::int64_t end = t.first_position + row / t.group + 1;
  const std::int64_t begin = t.window > 0 && end > t.window ? end - t.window : 0;
  const bool all_visible = begin <= first_token && first_token + kTokenBlock <= end;
  float* scores = t.scores + row * kTokenBlock;
  float q_sum = 0;
  if constexpr (Block::kQuantized) q_sum = query_sum<LeftOf<typename Block::Type>>(t, row);
  Vec top = splat(-kInfinity);
  for (int j = 0; j < kBlockVectors; j++) {
    Vec s = load(scores + j * kLanes);
    if constexpr (Block::kQuantized) s = block.score(s, q_sum, j);
    s = s * t.scale;
    if (!all_visible) s = visible_lanes(j, first_token, begin, end) ? s : splat(-kInfinity);
    store(scores + j * kLanes, s);
    top = larger(s, top);
  }
  return reduce_max(top);
}

struct RowSums {
  float weights;
  float offsets;  // what the values' offsets add to every column
};

// Turns one row of scores into weights, exp(score - base), of the block's values.
template <class Block>
RowSums weigh_row(const AttentionTile& t, const Block& block, std::int64_t row, float base) {
  const float* scores = t.scores + row * kTokenBlock;
  auto* weights = static_cast<LeftOf<typename Block::Type>*>(t.weights) + row * kTokenBlock;
  Vec sum{}, offsets{};
  for (int j = 0; j < kBlockVectors; j++) {
    Vec e = exp(load(scores + j * kLanes) - base);
    sum += e;
    if constexpr (Block::kQuantized) {
      offsets += block.offset(e, j);
      e = block.scaled(e, j);
    }
    store_weights(weights + j * kLanes, e);
  }
  return {reduce_sum(sum), Block::kQuantized ? reduce_sum(offsets) : 0.0F};
}

inline void scale_row(float* acc, float factor, std::int64_t count) {
  for (std::int64_t c = 0; c < count; c += kLanes) store(acc + c, load(acc + c) * factor);
}
inline void shift_row(float* acc, float offset, std::int64_t count) {
  for (std::int64_t c = 0; c < count; c += kLanes) store(acc + c, load(acc + c) + offset);
}

// Softmax of up to kLanes rows: weights of this block, and what was accumulated before shrinks to the new
// maximum. Until a row sees its first token its base is 0, which makes its weights 0 instead of NaN.
template <class Block>
void weigh_rows(const AttentionTile& t, const Block& block, std::int64_t first_row, std::int64_t first_token,
                const SoftmaxState& state) {
  const std::int64_t count = t.num_rows - first_row < kLanes ? t.num_rows - first_row : kLanes;
  float base[kLanes];
  float shrink[kLanes] = {};
  for (std::int64_t i = 0; i < count; i++) {
    const float old_max = state.max[first_row + i];
    const float block_max = finish_scores(t, block, first_row + i, first_token);
    const float new_max = block_max > old_max ? block_max : old_max;
    base[i] = new_max == -kInfinity ? 0 : new_max;
    shrink[i] = old_max - base[i];
    state.max[first_row + i] = new_max;
  }
  store(shrink, exp(load(shrink)));
  for (std::int64_t i = 0; i < count; i++) {
    const std::int64_t row = first_row + i;
    const RowSums sums = weigh_row(t, block, row, base[i]);
    state.sum[row] = state.sum[row] * shrink[i] + sums.weights;
    float* acc = state.acc + row * t.acc_stride;
    if (shrink[i] != 1.0F) scale_row(acc, shrink[i], t.acc_stride);
    if (sums.offsets != 0.0F) shift_row(acc, sums.offsets, t.acc_stride);
  }
}

template <class Block>
void add_scores(const AttentionTile& t, const Block& block) {
  using T = typename Block::Type;
  Matmul dot;
  dot.x = t.q;
  dot.x_stride = t.head_dim;
  dot.num_steps = t.head_dim / kPairOf<T>;
  dot.y = t.scores;
  dot.y_stride = kTokenBlock;
  dot.num_rows = t.num_rows;
  dot.end_column = kTokenBlock;
  if constexpr (Block::kQuantized)
    if (block.multiply_keys(dot)) return;
  block.keys().put_into(dot);
  multiply<T>(dot);
}

template <class Block>
void add_values(const AttentionTile& t, const Block& block, std::int64_t num_tokens, float* acc) {
  using T = typename Block::Type;
  Matmul sum;
  sum.x = t.weights;
  sum.x_stride = kTokenBlock;
  sum.num_steps = (num_tokens + kPairOf<T> - 1) / kPairOf<T>;
  sum.y_stride = t.acc_stride;
  sum.num_rows = t.num_rows;
  sum.accumulate = true;
  for (std::int64_t column = 0; column < t.head_dim; column += kBlockColumns) {
    const std::int64_t left = t.head_dim - column, width = left < kBlockColumns ? left : kBlockColumns;
    sum.y = acc + column;
    sum.end_column = width;
    if constexpr (Block::kQuantized)
      if (block.multiply_values(sum, column, width)) continue;
    block.values(column, width, num_tokens).put_into(sum);
    multiply<T>(sum);
  }
}

template <class Block>
void attend(const AttentionTile& t, std::int64_t first_token, const SoftmaxState& state) {
  const Block block(t);
  add_scores(t, block);
  for (std::int64_t row = 0; row < t.num_rows; row += kLanes) weigh_rows(t, block, row, first_token, state);
  // Slots past the last visible token may hold anything, NaN included: the loop ends before them. (The other
  // half of the last pair was zeroed when its token was stored; codes are always numbers.)
  const std::int64_t num_left = t.first_position + (t.num_rows - 1) / t.group + 1 - first_token;
  add_values(t, block, num_left < kTokenBlock ? num_left : kTokenBlock, state.acc);
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
