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

inline constexpr std::int64_t kPrefetchSteps = 24;

inline VecInt load_pairs(const bf16_t* p) {
  VecInt v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// One step (one pair of bf16 inputs, or one input) for a tile of rows and vectors of columns.
template <int kRows, int kVectors, class X, class W>
inline void add_step(Vec (&acc)[kRows][kVectors], const X* x, std::int64_t x_stride, const W* w) {
  if constexpr (std::is_same_v<X, bf16_t>) {
    VecInt pairs[kVectors];
    for (int j = 0; j < kVectors; j++) pairs[j] = load_pairs(w + j * kLanes * 2);
    for (int r = 0; r < kRows; r++) {
      const VecInt pair = splat_pair(x + r * x_stride);
      for (int j = 0; j < kVectors; j++) acc[r][j] = dot_pairs(acc[r][j], pair, pairs[j]);
    }
  } else if constexpr (std::is_same_v<W, bf16_t>) {
    for (int j = 0; j < kVectors; j++) {
      const VecInt pairs = load_pairs(w + j * kLanes * 2);
      const Vec even = reinterpret_cast<Vec>(pairs << 16);
      const Vec odd = reinterpret_cast<Vec>(pairs & static_cast<std::int32_t>(0xffff0000));
      for (int r = 0; r < kRows; r++) {
        acc[r][j] = multiply_add(splat(x[r * x_stride]), even, acc[r][j]);
        acc[r][j] = multiply_add(splat(x[r * x_stride + 1]), odd, acc[r][j]);
      }
    }
  } else {
    for (int j = 0; j < kVectors; j++) {
      const Vec column = load(w + j * kLanes);
      for (int r = 0; r < kRows; r++) acc[r][j] = multiply_add(splat(x[r * x_stride]), column, acc[r][j]);
    }
  }
}

template <int kRows, int kVectors>
void begin_tile(Vec (&acc)[kRows][kVectors], const Matmul& m, std::int64_t row, std::int64_t column) {
  for (int j = 0; j < kVectors; j++) {
    const std::int64_t at = column + j * kLanes, left = m.end_column - at;
    const auto read = [&](const float* p) {
      return left >= kLanes ? load(p + at) : left > 0 ? load_part(p + at, left) : Vec{};
    };
    const Vec bias = m.bias != nullptr ? read(m.bias) : Vec{};
    for (int r = 0; r < kRows; r++)
      acc[r][j] = m.accumulate ? read(m.y + (row + r) * m.y_stride) + bias : bias;
  }
}

template <int kRows, int kVectors>
void end_tile(const Vec (&acc)[kRows][kVectors], const Matmul& m, std::int64_t row, std::int64_t column) {
  for (int r = 0; r < kRows; r++)
    for (int j = 0; j < kVectors; j++) {
      const std::int64_t at = column + j * kLanes, left = m.end_column - at;
      float* y = m.y + (row + r) * m.y_stride + at;
      if (left >= kLanes)
        store(y, acc[r][j]);
      else if (left > 0)
        store_part(y, acc[r][j], left);
    }
}

template <int kRows, int kVectors, class W>
void multiply_tile(const Matmul& m, std::int64_t row, std::int64_t column) {
  constexpr std::int64_t kPair = std::is_same_v<W, bf16_t> ? 2 : 1;
  constexpr std::int64_t kStepBytes = kVectors * kLanes * kPair * static_cast<std::int64_t>(sizeof(W));
  using X = LeftOf<W>;
  const X* x = static_cast<const X*>(m.x) + row * m.x_stride;
  const W* w =
      static_cast<const W*>(m.w) + column / kBlockColumns * m.w_block_stride + column % kBlockColumns * kPair;
  Vec acc[kRows][kVectors];
  begin_tile(acc, m, row, column);
  const std::int64_t ahead = m.prefetch ? kPrefetchSteps * m.w_step : 0;
  for (std::int64_t step = 0; step < m.num_steps; step++) {
    for (std::int64_t line = 0; line < kStepBytes; line += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(w + ahead) + line);
    add_step(acc, x, m.x_stride, w);
    x += kPair;
    w += m.w_step;
  }
  end_tile(acc, m, row, column);
}

// Columns [first, end) of one block of 64: whole tiles, then a half one.
template <int kRows, class W>
void multiply_block(const Matmul& m, std::int64_t row, std::int64_t first, std::int64_t end) {
  constexpr int kVectors = kRows == 1 ? kOneRowVectors : kTileVectors;
  constexpr std::int64_t kColumns = kVectors * kLanes;
  std::int64_t column = first;
  for (; column + kColumns <= end || (column < end && kColumns <= kColumnUnit); column += kColumns)
    multiply_tile<kRows, kVectors, W>(m, row, column);
  if constexpr (kColumns > kColumnUnit)
    for (; column < end; column += kColumns / 2) multiply_tile<kRows, kVectors / 2, W>(m, row, column);
}

template <int kRows, class W>
void multiply_rows(const Matmul& m, std::int64_t num_rows, std::int64_t row, std::int64_t first,
                   std::int64_t end) {
  if (num_rows == kRows)
    multiply_block<kRows, W>(m, row, first, end);
  else if constexpr (kRows > 1)
    multiply_rows<kRows - 1, W>(m, num_rows, row, first, end);
}

template <class W>
void multiply(const Matmul& m) {
  const std::int64_t num_groups = (m.num_rows + kMaxTileRows - 1) / kMaxTileRows;
  Matmul again = m;  // the block's weights are in the cache after the first group of rows
  again.prefetch = false;
  for (std::int64_t first = m.first_column; first < m.end_column;) {
    const std::int64_t block_end = (first / kBlockColumns + 1) * kBlockColumns;
    const std::int64_t end = block_end < m.end_column ? block_end : m.end_column;
    for (std::int64_t g = 0; g < num_groups; g++) {
      const std::int64_t row = m.num_rows * g / num_groups;
      const std::int64_t rows = m.num_rows * (g + 1) / num_groups - row;
      multiply_rows<kMaxTileRows, W>(g == 0 ? m : again, rows, row, first, end);
    }
    first = end;
  }
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
