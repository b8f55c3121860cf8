// Many rows of int8 against 4-bit and 8-bit weights on the tile unit (AMX). Its sums are of integers, so they
// are those of AVX-512 to the bit; few rows stay there.
#include "ops/cpu/simd_quantized_avx512.h"
// simd first: what comes next is written in its terms.
#include "ops/cpu/amx_tiles.h"
#include "ops/cpu/quantized_matmul.h"

namespace lmdeploy::ops::cpu {
namespace {

// A part of y: 32 rows and columns.
struct Part {
  std::int64_t row;
  std::int64_t column;
};

struct alignas(64) PartSums {
  std::int32_t values[2 * kTile][2 * kTile];
};

// 4-bit weights without their zeros, signed, in the panel: their sums need a scale only. 8 bits would not
// fit; they stay unsigned where they lie. Either way 16 steps of 4 inputs are lines of kStepBytes.
template <int kBits>
const char* weights_of_span(const QuantizedMatmul& m, const Span& span) {
  if constexpr (kBits == 8) {
    return span.words;
  } else {
    __m512i zeros[kBlockColumns / kLanes];
    __builtin_memcpy(zeros, span.zeros, sizeof zeros);
    for (__m512i& zero : zeros) zero = _mm512_mullo_epi32(zero, _mm512_set1_epi32(0x01010101));
    const __m512i low_bits = _mm512_set1_epi32(0x0f0f0f0f);
    char* to = static_cast<char*>(m.panel);
    for (std::int64_t at = 0; at < m.words_bytes; at += kStepBytes, to += 2 * kStepBytes)
#pragma GCC unroll 4
      for (std::int64_t j = 0; j < kBlockColumns / kLanes; j++) {
        const char* from = span.words + at + j * kTileBytes;
        __builtin_prefetch(from + m.fetch_distance);
        const __m512i words = _mm512_loadu_si512(from);
        const __m512i low = _mm512_and_si512(words, low_bits);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi32(words, 4), low_bits);
        _mm512_store_si512(to + j * kTileBytes, _mm512_sub_epi8(low, zeros[j]));
        _mm512_store_si512(to + kStepBytes + j * kTileBytes, _mm512_sub_epi8(high, zeros[j]));
      }
    settle_memory();
    return static_cast<const char*>(m.panel);
  }
}

template <int kBits>
void multiply_part(const QuantizedMatmul& m, const Span& span, const char* w, Part part) {
  const std::int8_t* x = static_cast<const std::int8_t*>(m.x) + part.row * m.x_stride + span.idx * m.span_len;
  w += part.column * 4;
  zero_sums();
  for (std::int64_t input = 0; input < m.span_len; input += kTileBytes, w += kTile * kStepBytes) {
    _tile_loadd(6, w, kStepBytes);
    _tile_loadd(4, x + input, m.x_stride);
    _tile_loadd(7, w + kTileBytes, kStepBytes);
    _tile_loadd(5, x + kTile * m.x_stride + input, m.x_stride);
    if constexpr (kBits == 4) {
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    } else {
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
  }
}

template <int kBits>
void join_part(const QuantizedMatmul& m, const Span& span, const PartSums& sums, Part part) {
  const std::int64_t rows_left = m.num_rows - part.row,
                     num_rows = rows_left < 2 * kTile ? rows_left : 2 * kTile;
  Vec scales[2];
  VecInt zeros[2];
  __builtin_memcpy(scales, span.scales + part.column, sizeof scales);
  __builtin_memcpy(zeros, span.zeros + part.column, sizeof zeros);
  float* totals = m.totals + part.row * kBlockColumns + part.column;
  for (std::int64_t r = 0; r < num_rows; r++, totals += kBlockColumns) {
    const Int8Row row = Int8Dots<kBits>::row(m, part.row + r, span.idx);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      VecInt sum;
      __builtin_memcpy(&sum, sums.values[r] + j * kLanes, sizeof sum);
      const Vec total = load(totals + j * kLanes);
      if constexpr (kBits == 4)
        store(totals + j * kLanes, row.add(total, sum, scales[j]));
      else
        store(totals + j * kLanes, row.add(total, sum, scales[j], zeros[j]));
    }
  }
}

// While the tile unit multiplies a part, the sums of the one before join their totals.
template <int kBits>
void add_span_on_tiles(const QuantizedMatmul& m, const Span& span) {
  const char* w = weights_of_span<kBits>(m, span);
  constexpr std::int64_t kParts = kBlockColumns / (2 * kTile);  // side by side
  const std::int64_t num_parts = (m.num_rows + 2 * kTile - 1) / (2 * kTile) * kParts;
  const auto part = [](std::int64_t i) { return Part{i / kParts * 2 * kTile, i % kParts * 2 * kTile}; };
  PartSums sums[2];
  for (std::int64_t i = 0; i <= num_parts; i++) {
    if (i < num_parts) multiply_part<kBits>(m, span, w, part(i));
    if (i > 0) join_part<kBits>(m, span, sums[(i - 1) % 2], part(i - 1));
    if (i < num_parts) store_sums<true>(sums[i % 2].values[0], 2 * kTile);
  }
}

}  // namespace

template <int kBits>
void int8_multiply_on_tiles(const QuantizedMatmul& m) {
  if (m.num_rows <= kPackedRows || m.span_len % kTileBytes != 0)
    return multiply_spans(m, add_span<Int8Dots<kBits>, Int<kBits>>);
  configure_tiles(2 * kTile);
  multiply_spans(m, add_span_on_tiles<kBits>);
  _tile_release();
}
template void int8_multiply_on_tiles<4>(const QuantizedMatmul& m);
template void int8_multiply_on_tiles<8>(const QuantizedMatmul& m);

double int8_multiply_adds_on_tiles(std::int64_t num_rounds) {
  constexpr std::int64_t kInputs = 4 * kTile;  // that one instruction adds
  return repeat_on_tiles(num_rounds,
                         [] {
                           _tile_dpbsud(0, 4, 6);
                           _tile_dpbsud(1, 4, 7);
                           _tile_dpbsud(2, 5, 6);
                           _tile_dpbsud(3, 5, 7);
                         }) *
         kInputs;
}

}  // namespace lmdeploy::ops::cpu
