#pragma once
// y = x W^T for quantised W and any number of rows. A span's sum starts from zero and is taken over its
// inputs in order (in integers the order is no matter), the spans join a total in order, bias and y come
// last: in each lane by itself, so the number of rows, the tile around it and whether weights come packed or
// through the panel change nothing in its bits.
#include "ops/cpu/span_dots.h"

namespace lmdeploy::ops::cpu {
namespace {

inline constexpr std::int64_t kWordVectorBytes = static_cast<std::int64_t>(sizeof(VecInt));
inline constexpr std::int64_t kWordLineBytes = kBlockColumns * 4;  // a step of words of all columns
// Eight bits for int8: nothing to unpack.
template <class Dots, class Code>
inline constexpr bool kWordsAreOperands = Dots::kPair * Code::kBits == 32;
// Rows of a tile whose weights come as words: to be unpacked they need registers.
template <class Dots, class Code>
inline constexpr int kPackedTileRows = kWordsAreOperands<Dots, Code> ? Dots::kTileRows : 4;
// Up to here unpacking again for each tile costs less than a way through the panel.
inline constexpr std::int64_t kPackedRows = 8;

// One span of one block of columns.
struct Span {
  const char* words;
  std::int64_t idx;
  alignas(64) float scales[kBlockColumns];
  alignas(64) std::int32_t zeros[kBlockColumns];
};

template <class Scale>
inline void read_scales(const char* from, float* scales) {
  for (std::int64_t c = 0; c < kBlockColumns; c += kLanes)
    store(scales + c, load(reinterpret_cast<const Scale*>(from) + c));
}

inline void open_span(const QuantizedMatmul& m, const char* data, Span& span) {
  span.words = data;
  const char* scales = data + m.words_bytes;
  const char* end = data + m.span_bytes;
  const char* zeros = end - m.zeros_bytes;
  for (const char* line = scales; line < end; line += 64) __builtin_prefetch(line + m.fetch_distance);
  if (m.scale_dtype == DType::f16)
    read_scales<f16_t>(scales, span.scales);
  else if (m.scale_dtype == DType::bf16)
    read_scales<bf16_t>(scales, span.scales);
  else
    read_scales<float>(scales, span.scales);
  if (m.zeros_bytes == 0) return;
  for (std::int64_t c = 0; c < kBlockColumns; c++) span.zeros[c] = static_cast<std::uint8_t>(zeros[c]);
}

// Where a tile's weights lie: as words, or unpacked in the panel. `kOperands` of them are in one vector.
template <class Dots, class Code>
struct Packed {
  static constexpr int kOperands = 32 / Code::kBits / Dots::kPair;
  static typename Dots::Operand operand(VecInt words, int i, VecInt zero) {
    return Dots::template operand<Code>(words, i * Dots::kPair, zero);
  }
};
template <class Dots>
struct Unpacked {
  static constexpr int kOperands = 1;
  static typename Dots::Operand operand(VecInt bits, int /*i*/, VecInt /*zero*/) {
    return reinterpret_cast<typename Dots::Operand>(bits);
  }
};

// What one tile walks along: vectors of its columns, `step_bytes` from one step to the next.
template <class Dots>
struct Walk {
  const char* w;
  std::int64_t step_bytes;
  std::int64_t num_steps;
  const typename Dots::X* x;
  std::int64_t x_stride;
  std::int64_t fetch_distance;
};

template <int kVectors>
inline void fetch_ahead(const char* w, std::int64_t distance) {
  for (std::int64_t line = 0; line < kVectors * kWordVectorBytes; line += 64)
    __builtin_prefetch(w + distance + line);
}

// Sums must stay in registers: every loop over them is unrolled.
template <class Dots, class Source, int kRows, int kVectors>
inline void add_steps(typename Dots::Sum (&sums)[kRows][kVectors], const VecInt (&zeros)[kVectors],
                      Walk<Dots>& walk, std::int64_t num_steps) {
  using Operand = typename Dots::Operand;
  for (std::int64_t step = 0; step < num_steps; step++) {
    if (walk.fetch_distance > 0) fetch_ahead<kVectors>(walk.w, walk.fetch_distance);
    VecInt bits[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++)
      __builtin_memcpy(&bits[j], walk.w + j * kWordVectorBytes, sizeof(VecInt));
#pragma GCC unroll 8
    for (int i = 0; i < Source::kOperands; i++) {
      Operand w[kVectors];
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; j++) {
        w[j] = Source::operand(bits[j], i, zeros[j]);
        if constexpr (kRows > 1) __asm__("" : "+v"(w[j]));  // gcc would rather make it again for every row
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const Operand x = Dots::broadcast(walk.x + r * walk.x_stride + i * Dots::kPair);
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; j++) sums[r][j] = Dots::add(sums[r][j], x, w[j]);
      }
    }
    walk.w += walk.step_bytes;
    walk.x += Source::kOperands * Dots::kPair;
  }
}

template <class Dots, class Source, int kRows, int kVectors>
inline void add_all_steps(typename Dots::Sum (&sums)[kRows][kVectors], const VecInt (&zeros)[kVectors],
                          Walk<Dots> walk) {
  if constexpr (Dots::kAdds == 0) {
    add_steps<Dots, Source>(sums, zeros, walk, walk.num_steps);
  } else {
    constexpr std::int64_t kSteps = Dots::kAdds / Source::kOperands;
    for (std::int64_t step = 0; step < walk.num_steps; step += kSteps) {
      typename Dots::Sum parts[kRows][kVectors] = {};
      const std::int64_t steps_left = walk.num_steps - step;
      add_steps<Dots, Source>(parts, zeros, walk, steps_left < kSteps ? steps_left : kSteps);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++)
#pragma GCC unroll 8
        for (int j = 0; j < kVectors; j++) sums[r][j] += Dots::widen(parts[r][j]);
    }
  }
}

// Adds a span to the totals of rows [row, row + kRows), columns [column, column + kVectors * kLanes).
template <class Dots, class Source, int kRows, int kVectors>
void add_tile(const QuantizedMatmul& m, const Span& span, const Walk<Dots>& walk, std::int64_t row,
              std::int64_t column) {
  typename Dots::Sum sums[kRows][kVectors] = {};
  VecInt zeros[kVectors];
  __builtin_memcpy(zeros, span.zeros + column, sizeof zeros);
  add_all_steps<Dots, Source>(sums, zeros, walk);
  float* totals = m.totals + row * kBlockColumns + column;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++, totals += kBlockColumns) {
    const typename Dots::Row joined = Dots::row(m, row + r, span.idx);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) {
      const Vec scale = load(span.scales + column + j * kLanes);
      store(totals + j * kLanes, joined.add(load(totals + j * kLanes), sums[r][j], scale, zeros[j]));
    }
  }
}

template <class Dots>
Walk<Dots> walk_of_rows(const QuantizedMatmul& m, const Span& span, std::int64_t row) {
  Walk<Dots> walk{};
  walk.x = static_cast<const typename Dots::X*>(m.x) + row * m.x_stride + span.idx * m.span_len;
  walk.x_stride = m.x_stride;
  return walk;
}

// Few rows: the weights as they come, again for each tile.
template <class Dots, class Code, int kRows>
void add_packed_tile(const QuantizedMatmul& m, const Span& span, std::int64_t row, std::int64_t num_rows) {
  if (num_rows < kRows) {
    if constexpr (kRows > 1) add_packed_tile<Dots, Code, kRows - 1>(m, span, row, num_rows);
    return;
  }
  constexpr int kVectors = kRows == 1 ? kOneRowVectors : Dots::kVectors;
  Walk<Dots> walk = walk_of_rows<Dots>(m, span, row);
  walk.step_bytes = kWordLineBytes;
  walk.num_steps = m.words_bytes / kWordLineBytes;
  walk.fetch_distance = row == 0 ? m.fetch_distance : 0;
  for (std::int64_t column = 0; column < kBlockColumns; column += kVectors * kLanes) {
    walk.w = span.words + column * 4;
    add_tile<Dots, Packed<Dots, Code>, kRows, kVectors>(m, span, walk, row, column);
  }
}

// The panel holds strips of kVectors vectors of columns, one behind the other.
template <class Dots, class Code>
void unpack(const QuantizedMatmul& m, const Span& span) {
  using Source = Packed<Dots, Code>;
  char* to = static_cast<char*>(m.panel);
  for (std::int64_t strip = 0; strip < kBlockColumns; strip += Dots::kVectors * kLanes) {
    VecInt zeros[Dots::kVectors];
    __builtin_memcpy(zeros, span.zeros + strip, sizeof zeros);
    const char* from = span.words + strip * 4;
    for (std::int64_t at = 0; at < m.words_bytes; at += kWordLineBytes, from += kWordLineBytes) {
      fetch_ahead<Dots::kVectors>(from, m.fetch_distance);
#pragma GCC unroll 8
      for (int i = 0; i < Source::kOperands; i++)
#pragma GCC unroll 8
        for (int j = 0; j < Dots::kVectors; j++, to += kWordVectorBytes) {
          VecInt words;
          __builtin_memcpy(&words, from + j * kWordVectorBytes, sizeof words);
          const auto operand = Source::operand(words, i, zeros[j]);
          __builtin_memcpy(to, &operand, sizeof operand);
        }
    }
  }
}

template <class Dots, int kRows>
void add_unpacked_tile(const QuantizedMatmul& m, const Span& span, std::int64_t row, std::int64_t num_rows,
                       std::int64_t column) {
  if (num_rows < kRows) {
    if constexpr (kRows > 1) add_unpacked_tile<Dots, kRows - 1>(m, span, row, num_rows, column);
    return;
  }
  Walk<Dots> walk = walk_of_rows<Dots>(m, span, row);
  walk.num_steps = m.span_len / Dots::kPair;
  walk.step_bytes = Dots::kVectors * kWordVectorBytes;
  walk.w = static_cast<const char*>(m.panel) + column * 4 * walk.num_steps;
  add_tile<Dots, Unpacked<Dots>, kRows, Dots::kVectors>(m, span, walk, row, column);
}

// Nearly equal tiles of at most kTileRows rows: add(row, num_rows) for each.
template <int kTileRows, class Add>
void for_tiles(std::int64_t num_rows, const Add& add) {
  const std::int64_t num_tiles = (num_rows + kTileRows - 1) / kTileRows;
  for (std::int64_t tile = 0; tile < num_tiles; tile++) {
    const std::int64_t row = num_rows * tile / num_tiles;
    add(row, num_rows * (tile + 1) / num_tiles - row);
  }
}

template <class Dots, class Code>
void add_span(const QuantizedMatmul& m, const Span& span) {
  if (kWordsAreOperands<Dots, Code> || m.num_rows <= kPackedRows) {
    constexpr int kTileRows = kPackedTileRows<Dots, Code>;
    for_tiles<kTileRows>(m.num_rows, [&](std::int64_t row, std::int64_t num_rows) {
      add_packed_tile<Dots, Code, kTileRows>(m, span, row, num_rows);
    });
  } else if constexpr (!kWordsAreOperands<Dots, Code>) {
    unpack<Dots, Code>(m, span);
    for (std::int64_t column = 0; column < kBlockColumns; column += Dots::kVectors * kLanes)
      for_tiles<Dots::kTileRows>(m.num_rows, [&](std::int64_t row, std::int64_t num_rows) {
        add_unpacked_tile<Dots, Dots::kTileRows>(m, span, row, num_rows, column);
      });
  }
}

// The totals of one block of columns to y.
inline void write_columns(const QuantizedMatmul& m, std::int64_t first) {
  const std::int64_t end = first + kBlockColumns < m.end_column ? first + kBlockColumns : m.end_column;
  for (std::int64_t row = 0; row < m.num_rows; row++) {
    const float* totals = m.totals + row * kBlockColumns - first;
    float* y = m.y + row * m.y_stride;
    for (std::int64_t c = first; c < end; c += kLanes) {
      Vec result = load(totals + c);
      if (m.bias != nullptr) result += load_at_most(m.bias + c, end - c);
      if (m.accumulate) result += load_at_most(y + c, end - c);
      store_at_most(y + c, result, end - c);
    }
  }
}

// add_span adds one span of one block of columns to the totals.
template <class AddSpan>
void multiply_spans(const QuantizedMatmul& m, const AddSpan& add_span) {
  const char* data = m.w + m.first_column / kBlockColumns * m.num_spans * m.span_bytes;
  for (std::int64_t first = m.first_column; first < m.end_column; first += kBlockColumns) {
    for (std::int64_t i = 0; i < m.num_rows * kBlockColumns; i += kLanes) store(m.totals + i, Vec{});
    Span span{};
    for (span.idx = 0; span.idx < m.num_spans; span.idx++, data += m.span_bytes) {
      open_span(m, data, span);
      add_span(m, span);
    }
    write_columns(m, first);
  }
}

template <class Dots, class Code>
void multiply_quantized(const QuantizedMatmul& m) {
  multiply_spans(m, add_span<Dots, Code>);
}

}  // namespace
}  // namespace lmdeploy::ops::cpu
