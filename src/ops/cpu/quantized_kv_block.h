#pragma once
// 64 tokens of one kv head in a quantised cache. K: scales [64] and minima [64] in fp16, then codes; V in the
// same way behind it. Codes lie in rows of byte pairs, so that no byte is shared by two tokens:
//   8 bits: K [d / 2][64][2]; V in blocks of 64 columns, each [32][columns][2 tokens]. Signed: code - 128.
//   4 bits: K [d / 4][64][2], where byte i of row r holds dimension 4 r + i low and 4 r + 2 + i high; V
//           [32][columns / 2][2 tokens], where a byte holds column c low and c + columns / 2 high.
// Codes become floats around 0, exact in bf16, in the scratch of the tile. That and the products are bursts
// without a read from memory; so each product fetches what will be unpacked after it. With x = scale * code +
// offset,
//   q.k = scale * (q . code) + offset * sum(q),   sum p v = sum (p * scale) code + sum p * offset.
#include "ops/cpu/kv_block.h"
#include "ops/cpu/row_kernels.h"

namespace lmdeploy::ops::cpu {
namespace {

// Where a row of n byte pairs goes, in elements: floats in runs of n, the first bytes' and the second bytes'
// apart, and the high nibbles' behind the low ones'; pairs of bf16 in one run for each nibble.
struct UnpackedRow {
  std::int64_t second = 0;
  std::int64_t high = 0;
};

// `count` byte pairs, at most kLanes.
template <int kBits>
void unpack_lanes(const std::uint8_t* from, float* to, const UnpackedRow& row) {
  const VecInt x = load_bits16(from);
  const auto put = [](float* p, VecInt code) { store(p, __builtin_convertvector(code, Vec)); };
  if constexpr (kBits == 8) {
    put(to, (x << 24) >> 24);
    put(to + row.second, (x << 16) >> 24);
  } else {
    put(to, (x & 15) - 8);
    put(to + row.high, ((x >> 4) & 15) - 8);
    put(to + row.second, ((x >> 8) & 15) - 8);
    put(to + row.second + row.high, (x >> 12) - 8);
  }
}
template <int kBits, class T>
void unpack_lanes(const std::uint8_t* from, T* to, const UnpackedRow& row) {
  if constexpr (kBits == 8)
    unpack_bytes(from, to);
  else
    unpack_nibbles(from, to, to + row.high);
}

template <class T, int kBits>
void unpack_row(const std::uint8_t* from, std::int64_t num_pairs, T* to, const UnpackedRow& row) {
  std::int64_t i = 0;
  for (; i + kLanes <= num_pairs; i += kLanes) unpack_lanes<kBits>(from + 2 * i, to + i * kPairOf<T>, row);
  if (i == num_pairs) return;
  std::uint8_t bytes[2 * kLanes] = {};
  T lanes[4 * kLanes];
  __builtin_memcpy(bytes, from + 2 * i, static_cast<std::size_t>(2 * (num_pairs - i)));
  constexpr UnpackedRow kTight{kLanes, 2 * kLanes};
  unpack_lanes<kBits>(bytes, lanes, kTight);
  const auto copy = [&](std::int64_t run, std::int64_t offset) {
    __builtin_memcpy(to + i * kPairOf<T> + offset, lanes + run,
                     static_cast<std::size_t>((num_pairs - i) * kPairOf<T>) * sizeof(T));
  };
  const bool is_float = kPairOf<T> == 1, has_high = kBits == 4;
  copy(0, 0);
  if (is_float) copy(kTight.second, row.second);
  if (has_high) copy(kTight.high, row.high);
  if (is_float && has_high) copy(kTight.second + kTight.high, row.second + row.high);
}

// multiply() of few rows by 64 columns of codes of 8 bits as they lie, 128 bytes a step: they pass from
// memory to the products in registers, in the same order of sums.
template <int kRows, class T>
void multiply_codes(const Matmul& m, const std::uint8_t* codes) {
  constexpr int kVectors = kBlockColumns / kLanes;
  const T* x = static_cast<const T*>(m.x);
  const char* next = m.next != nullptr ? m.next : reinterpret_cast<const char*>(codes);
  const std::int64_t next_step = m.next != nullptr ? m.next_bytes / m.num_steps : 0;
  Vec acc[kRows][kVectors];
  begin_tile(acc, m, m.y, 0, false, [](const float* p, int j) { return load(p + j * kLanes); });
  for (std::int64_t step = 0; step < m.num_steps; step++) {
    for (std::int64_t line = 0; line < 2 * kBlockColumns; line += 64) __builtin_prefetch(next + line);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) {
      const VecInt pairs = pairs_of_bytes(codes + j * 2 * kLanes, T{});
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) acc[r][j] = dot_pairs(acc[r][j], splat_pair(x + r * m.x_stride), pairs);
    }
    x += 2;
    codes += 2 * kBlockColumns;
    next += next_step;
  }
  end_tile(acc, m, m.y, [](float* p, int j, Vec v) { store(p + j * kLanes, v); });
}

// False where there are more rows.
template <int kRows, class T>
bool multiply_codes_of_few(const Matmul& m, const std::uint8_t* codes) {
  if (m.num_rows == kRows) {
    multiply_codes<kRows, T>(m, codes);
    return true;
  }
  if constexpr (kRows > 1) return multiply_codes_of_few<kRows - 1, T>(m, codes);
  return false;
}

template <class T, int kBits>
class QuantizedBlock {
 public:
  using Type = T;
  static constexpr bool kQuantized = true;

  explicit QuantizedBlock(const AttentionTile& t)
      : t_(t),
        keys_(reinterpret_cast<const std::uint8_t*>(t.data)),
        values_(keys_ + kParameterBytes + num_key_rows() * kRowBytes) {
    read_parameters(keys_, key_scales_, key_offsets_);
    read_parameters(values_, value_scales_, value_offsets_);
  }

  // The product with few rows, or false: then keys() and values() are to be multiplied.
  bool multiply_keys(Matmul m) const {
    if constexpr (kMultipliesCodes) {
      set_next(m, reinterpret_cast<const char*>(values_), values_ - keys_);
      return multiply_codes_of_few<kMaxTileRows, T>(m, keys_ + kParameterBytes);
    }
    return false;
  }
  bool multiply_values(Matmul m, std::int64_t column, std::int64_t width) const {
    if constexpr (kMultipliesCodes) {
      if (width != kBlockColumns) return false;
      set_next(m, next_keys(column), bytes_of_next_keys());
      return multiply_codes_of_few<kMaxTileRows, T>(m, values_ + kParameterBytes + column * kTokenBlock);
    }
    return false;
  }

  Operand<T> keys() const {
    T* const to = static_cast<T*>(t_.unpacked);
    const std::uint8_t* row = keys_ + kParameterBytes;
    for (std::int64_t r = 0; r < num_key_rows(); r++, row += kRowBytes)
      unpack_row<T, kBits>(row, kTokenBlock, to + r * kDimensions * kTokenBlock,
                           {kTokenBlock, 2 * kTokenBlock});
    return {to, kTokenBlock * kPairOf<T>, 0, reinterpret_cast<const char*>(values_), values_ - keys_};
  }

  Operand<T> values(std::int64_t column, std::int64_t width, std::int64_t num_tokens) const {
    const std::int64_t row_bytes = width * 2 * kBits / 8;
    const std::int64_t stride = width % kColumnUnit == 0 ? width : kBlockColumns;  // columns
    T* const to = static_cast<T*>(t_.unpacked);
    const std::uint8_t* row = values_ + kParameterBytes + column * kTokenBlock * kBits / 8;
    for (std::int64_t token = 0; token < num_tokens; token += 2, row += row_bytes)
      unpack_row<T, kBits>(row, row_bytes / 2, to + token * stride, {stride, width / 2 * kPairOf<T>});
    return {to, stride * kPairOf<T>, 0, next_keys(column), bytes_of_next_keys()};
  }

  Vec score(Vec dot, float query_sum, int j) const {
    return multiply_add(dot, load(key_scales_ + j * kLanes), load(key_offsets_ + j * kLanes) * query_sum);
  }
  // A weight of 0 stays 0: slots without a token may hold NaN.
  Vec scaled(Vec weight, int j) const {
    return weight == Vec{} ? weight : weight * load(value_scales_ + j * kLanes);
  }
  Vec offset(Vec weight, int j) const {
    return weight == Vec{} ? weight : weight * load(value_offsets_ + j * kLanes);
  }

 private:
  static constexpr std::int64_t kParameterBytes = 2 * kTokenBlock * 2;
  static constexpr std::int64_t kRowBytes = 2 * kTokenBlock;  // of K
  static constexpr std::int64_t kDimensions = 16 / kBits;     // in a row of K
  static constexpr float kCenter = 1 << (kBits - 1);

  static constexpr bool kMultipliesCodes = kBf16Dot && kBits == 8 && std::is_same_v<T, bf16_t>;

  static void set_next(Matmul& m, const char* next, std::int64_t bytes) {
    m.next = next;
    m.next_bytes = bytes;
  }
  // Each block of columns of the values fetches its share of the keys that come next, or of nothing.
  std::int64_t bytes_of_next_keys() const {
    return (values_ - keys_) / ((t_.head_dim + kBlockColumns - 1) / kBlockColumns);
  }
  const char* next_keys(std::int64_t column) const {
    return t_.next == nullptr ? nullptr : t_.next + column / kBlockColumns * bytes_of_next_keys();
  }

  std::int64_t num_key_rows() const { return (t_.head_dim + kDimensions - 1) / kDimensions; }

  static void read_parameters(const std::uint8_t* from, float* scales, float* offsets) {
    const f16_t* const parameters = reinterpret_cast<const f16_t*>(from);
    for (std::int64_t i = 0; i < kTokenBlock; i += kLanes) {
      const Vec scale = load(parameters + i);
      store(scales + i, scale);
      store(offsets + i, multiply_add(scale, splat(kCenter), load(parameters + kTokenBlock + i)));
    }
  }

  const AttentionTile& t_;
  const std::uint8_t* keys_;
  const std::uint8_t* values_;
  float key_scales_[kTokenBlock], key_offsets_[kTokenBlock];
  float value_scales_[kTokenBlock], value_offsets_[kTokenBlock];
};

}  // namespace
}  // namespace lmdeploy::ops::cpu
