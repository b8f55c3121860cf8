#pragma once
// Attention with the online softmax (Milakov & Gimelshein 2018; Dao 2023, section 3.1), 64 tokens at a time.
// A token block of one kv head is [d / pair][64][pair] of K, then [64 / pair][d][pair] of V: both are packed
// weights, so scores = q K^T and acc += weights V are the matmul kernel, and tokens lie in its lanes.
//
// What a query gets depends on its own position only: a token that it may not see weighs exactly 0, and a
// block or split of such tokens leaves its state as it was.
#include "ops/cpu/matmul_kernel.h"

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

// Turns one row of scores into weights; returns by how much what was accumulated before shrinks.
template <class X>
float weigh_row(const AttentionTile& t, std::int64_t row, std::int64_t first_token,
                const SoftmaxState& state) {
  const std::int64_t end = t.first_position + row / t.group + 1;
  const std::int64_t begin = t.window > 0 && end > t.window ? end - t.window : 0;
  const bool all_visible = begin <= first_token && first_token + kTokenBlock <= end;
  Vec scores[kBlockVectors];
  Vec top = splat(-kInfinity);
  for (int j = 0; j < kBlockVectors; j++) {
    scores[j] = load(t.scores + row * kTokenBlock + j * kLanes) * t.scale;
    if (!all_visible) scores[j] = visible_lanes(j, first_token, begin, end) ? scores[j] : splat(-kInfinity);
    top = larger(scores[j], top);
  }
  const float old_max = state.max[row], block_max = reduce_max(top);
  const float new_max = block_max > old_max ? block_max : old_max;
  const float base = new_max == -kInfinity ? 0 : new_max;  // nothing visible yet: weights 0, not NaN
  Vec sum{};
  X* weights = static_cast<X*>(t.weights) + row * kTokenBlock;
  for (int j = 0; j < kBlockVectors; j++) {
    const Vec e = exp(scores[j] - base);
    sum += e;
    store(weights + j * kLanes, e);
  }
  const float shrink = old_max == new_max ? 1.0F : exp(splat(old_max - base))[0];
  state.max[row] = new_max;
  state.sum[row] = state.sum[row] * shrink + reduce_sum(sum);
  return shrink;
}

inline void scale_row(float* acc, float factor, std::int64_t count) {
  for (std::int64_t c = 0; c < count; c += kLanes) store(acc + c, load(acc + c) * factor);
}

// V rows of head_dim columns, copied to rows of acc_stride so that the kernel may read whole units.
template <class T>
const T* padded_values(const AttentionTile& t, const T* v, std::int64_t num_steps) {
  constexpr std::int64_t kPair = std::is_same_v<T, bf16_t> ? 2 : 1;
  T* padded = static_cast<T*>(t.v_padded);
  for (std::int64_t step = 0; step < num_steps; step++) {
    T* to = padded + step * t.acc_stride * kPair;
    __builtin_memcpy(to, v + step * t.head_dim * kPair,
                     static_cast<std::size_t>(t.head_dim * kPair) * sizeof(T));
    for (std::int64_t i = t.head_dim * kPair; i < t.acc_stride * kPair; i++) to[i] = T{};
  }
  return padded;
}

template <class T>
void add_token_block(const AttentionTile& t, std::int64_t first_token, const SoftmaxState& state) {
  constexpr std::int64_t kPair = std::is_same_v<T, bf16_t> ? 2 : 1;
  const std::int64_t in_block = first_token % t.block_len;
  const char* at = t.cache + t.block_table[first_token / t.block_len] * t.block_bytes +
                   in_block / kTokenBlock * t.token_block_bytes;
  const T* keys = reinterpret_cast<const T*>(at);
  const T* values = keys + t.head_dim * kTokenBlock;

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
  dot.prefetch = true;
  multiply<T>(dot);

  for (std::int64_t row = 0; row < t.num_rows; row++) {
    const float shrink = weigh_row<LeftOf<T>>(t, row, first_token, state);
    if (shrink != 1.0F) scale_row(state.acc + row * t.acc_stride, shrink, t.acc_stride);
  }

  // Slots past the last visible token may hold anything, NaN included: the loop ends before them. (The other
  // half of the last pair was zeroed when its token was stored.)
  const std::int64_t last = t.first_position + (t.num_rows - 1) / t.group;
  const std::int64_t num_tokens = last + 1 - first_token < kTokenBlock ? last + 1 - first_token : kTokenBlock;
  Matmul sum;
  sum.x = t.weights;
  sum.x_stride = kTokenBlock;
  sum.num_steps = (num_tokens + kPair - 1) / kPair;
  sum.w = t.acc_stride == t.head_dim ? values : padded_values(t, values, sum.num_steps);
  sum.w_block_stride = kBlockColumns * kPair;
  sum.w_step = t.acc_stride * kPair;
  sum.y = state.acc;
  sum.y_stride = t.acc_stride;
  sum.num_rows = t.num_rows;
  sum.end_column = t.acc_stride;
  sum.accumulate = true;
  sum.prefetch = true;
  multiply<T>(sum);
}

template <class T>
void attend(const AttentionTile& t, std::int64_t begin, std::int64_t end, const SoftmaxState& state) {
  for (std::int64_t token = begin; token < end; token += kTokenBlock) add_token_block<T>(t, token, state);
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
