#pragma once
// y = x W^T for one layout of W and any number of rows. An output element lives in one lane of one
// accumulator and is summed over the steps in order, whatever the shape of the tile around it: the number of
// rows and the column range change nothing in its bits. Partial sums may pass through y between two calls,
// exactly.
#include <type_traits>

#include "ops/cpu/kernels.h"
#include "ops/cpu/simd_math.h"

namespace lmdeploy::ops::cpu {
namespace {

// The type of x that goes with weights of type W.
template <class W>
using LeftOf = std::conditional_t<kBf16Dot && std::is_same_v<W, bf16_t>, bf16_t, float>;

inline VecInt load_pairs(const bf16_t* p) {
  VecInt v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// The first or second inputs of the pairs of one step. One after the other: with both halves of w at hand gcc
// broadcasts ahead and spills the accumulators (0.4 of the peak instead of 0.8).
template <int kHalf, int kRows, int kVectors>
inline void add_halves(Vec (&acc)[kRows][kVectors], const float* x, std::int64_t x_stride, const bf16_t* w) {
  Vec columns[kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; j++) {
    VecInt half = load_pairs(w + j * kLanes * 2);
    half = kHalf == 0 ? half << 16 : half & static_cast<std::int32_t>(0xffff0000);
    if constexpr (kRows > 1) __asm__("" : "+x"(half));
    columns[j] = reinterpret_cast<Vec>(half);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    Vec input = splat(x[r * x_stride + kHalf]);
    if constexpr (kRows > 1) __asm__ volatile("" : "+x"(input));
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) acc[r][j] = multiply_add(input, columns[j], acc[r][j]);
  }
}

// One step (one pair of bf16 inputs, or one input) for a tile of rows and vectors of columns.
template <int kRows, int kVectors, class X, class W>
inline void add_step(Vec (&acc)[kRows][kVectors], const X* x, std::int64_t x_stride, const W* w) {
  if constexpr (std::is_same_v<X, bf16_t>) {
    VecInt pairs[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) {
      VecInt column = load_pairs(w + j * kLanes * 2);
      if constexpr (kRows > 1) __asm__("" : "+v"(column));  // gcc would rather load it again for every row
      pairs[j] = column;
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const VecInt pair = splat_pair(x + r * x_stride);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; j++) acc[r][j] = dot_pairs(acc[r][j], pair, pairs[j]);
    }
  } else if constexpr (std::is_same_v<W, bf16_t>) {
    add_halves<0>(acc, x, x_stride, w);
    add_halves<1>(acc, x, x_stride, w);
  } else {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) {
      const Vec column = load(w + j * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) acc[r][j] = multiply_add(splat(x[r * x_stride]), column, acc[r][j]);
    }
  }
}

// Accumulators must stay in registers: every loop over them is unrolled.
template <int kRows, int kVectors, class Read>
inline void begin_tile(Vec (&acc)[kRows][kVectors], const Matmul& m, const float* y, std::int64_t column,
                       bool resume, const Read& read) {
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; j++) {
    const Vec bias = m.bias != nullptr && !resume ? read(m.bias + column, j) : Vec{};
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++)
      acc[r][j] = m.accumulate || resume ? read(y + r * m.y_stride, j) + bias : bias;
  }
}

template <int kRows, int kVectors, class Write>
inline void end_tile(const Vec (&acc)[kRows][kVectors], const Matmul& m, float* y, const Write& write) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) write(y + r * m.y_stride, j, acc[r][j]);
}

// What a group of rows takes at once, and what it fetches meanwhile, some lines with each step.
struct Pass {
  std::int64_t row;
  std::int64_t num_rows;
  std::int64_t first_step;
  std::int64_t num_steps;
  std::int64_t fetch_distance;  // of what it reads itself, bytes; 0: what is read now, which costs nothing
  const char* next;             // or a part of the weights of the next pass, if not null
  std::int64_t next_step;       // bytes
};

template <int kRows, int kVectors, class W>
void multiply_tile(const Matmul& m, const Pass& pass, std::int64_t column) {
  constexpr std::int64_t kPair = std::is_same_v<W, bf16_t> ? 2 : 1;
  constexpr std::int64_t kStepBytes = kVectors * kLanes * kPair * static_cast<std::int64_t>(sizeof(W));
  using X = LeftOf<W>;
  const X* x = static_cast<const X*>(m.x) + pass.row * m.x_stride + pass.first_step * kPair;
  const W* w = static_cast<const W*>(m.w) + column / kBlockColumns * m.w_block_stride +
               column % kBlockColumns * kPair + pass.first_step * m.w_step;
  float* y = m.y + pass.row * m.y_stride + column;
  const std::int64_t num_columns = m.end_column - column;
  const bool whole = num_columns >= kVectors * kLanes, resume = pass.first_step > 0;
  const char* fetch =
      pass.next != nullptr ? pass.next : reinterpret_cast<const char*>(w) + pass.fetch_distance;
  const std::int64_t fetch_step =
      pass.next != nullptr ? pass.next_step : m.w_step * static_cast<std::int64_t>(sizeof(W));
  Vec acc[kRows][kVectors];
  if (whole) {
    begin_tile(acc, m, y, column, resume, [](const float* p, int j) { return load(p + j * kLanes); });
  } else {
    begin_tile(acc, m, y, column, resume,
               [&](const float* p, int j) { return load_at_most(p + j * kLanes, num_columns - j * kLanes); });
  }
  for (std::int64_t step = 0; step < pass.num_steps; step++) {
    for (std::int64_t line = 0; line < kStepBytes; line += 64) __builtin_prefetch(fetch + line);
    add_step(acc, x, m.x_stride, w);
    x += kPair;
    w += m.w_step;
    fetch += fetch_step;
  }
  if (whole) {
    end_tile(acc, m, y, [](float* p, int j, Vec v) { store(p + j * kLanes, v); });
  } else {
    end_tile(acc, m, y,
             [&](float* p, int j, Vec v) { store_at_most(p + j * kLanes, v, num_columns - j * kLanes); });
  }
}

// Columns [first, end) of one block of 64: whole tiles, then a half one.
template <int kRows, class W>
void multiply_block(const Matmul& m, const Pass& pass, std::int64_t first, std::int64_t end) {
  constexpr int kVectors = kRows == 1 ? kOneRowVectors : kTileVectors;
  constexpr std::int64_t kColumns = kVectors * kLanes;
  std::int64_t column = first;
  for (; column + kColumns <= end || (column < end && kColumns <= kColumnUnit); column += kColumns)
    multiply_tile<kRows, kVectors, W>(m, pass, column);
  if constexpr (kColumns > kColumnUnit)
    for (; column < end; column += kColumns / 2) multiply_tile<kRows, kVectors / 2, W>(m, pass, column);
}

template <int kRows, class W>
void multiply_rows(const Matmul& m, const Pass& pass, std::int64_t first, std::int64_t end) {
  if (pass.num_rows == kRows)
    multiply_block<kRows, W>(m, pass, first, end);
  else if constexpr (kRows > 1)
    multiply_rows<kRows - 1, W>(m, pass, first, end);
}

// All rows, group after group. The first one reads weights from memory; while the others multiply, which
// takes longer, they fetch those of the next pass, at `next`, each its share.
template <class W>
void multiply_groups(const Matmul& m, Pass pass, std::int64_t first, std::int64_t end, const W* next) {
  const std::int64_t num_groups = (m.num_rows + kMaxTileRows - 1) / kMaxTileRows;
  const std::int64_t pass_bytes = pass.num_steps * m.w_step * static_cast<std::int64_t>(sizeof(W));
  for (std::int64_t g = 0; g < num_groups; g++) {
    pass.row = m.num_rows * g / num_groups;
    pass.num_rows = m.num_rows * (g + 1) / num_groups - pass.row;
    pass.fetch_distance = g == 0 ? m.fetch_distance : 0;
    if (g == 0 && m.next != nullptr) {
      pass.next = m.next;
      pass.next_step = m.next_bytes / pass.num_steps;
    } else if (g > 0 && next != nullptr) {
      const std::int64_t share = pass_bytes / (num_groups - 1);
      pass.next = reinterpret_cast<const char*>(next) + (g - 1) * share;
      pass.next_step = share / pass.num_steps;
    }
    multiply_rows<kMaxTileRows, W>(m, pass, first, end);
  }
}

template <class W>
void multiply(const Matmul& m) {
  const std::int64_t steps_at_once = m.steps_at_once > 0 ? m.steps_at_once : m.num_steps;
  for (std::int64_t first = m.first_column; first < m.end_column; first += kBlockColumns) {
    const std::int64_t end = first + kBlockColumns < m.end_column ? first + kBlockColumns : m.end_column;
    const W* const w = static_cast<const W*>(m.w) + first / kBlockColumns * m.w_block_stride;
    for (Pass pass{}; pass.first_step < m.num_steps; pass.first_step += steps_at_once) {
      const std::int64_t steps_left = m.num_steps - pass.first_step;
      pass.num_steps = steps_left < steps_at_once ? steps_left : steps_at_once;
      const W* next = nullptr;
      if (steps_left > steps_at_once)
        next = w + (pass.first_step + steps_at_once) * m.w_step;
      else if (end < m.end_column)
        next = w + m.w_block_stride;
      multiply_groups(m, pass, first, end, next);
    }
  }
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
