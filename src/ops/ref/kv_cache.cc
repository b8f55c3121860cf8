#include "ops/ref/kv_cache.h"

#include <bit>
#include <cmath>

#include "ops/key_signs.h"

namespace lmdeploy::ops::ref {
namespace {

const unsigned char* half_at(const KvLayer& cache, std::int64_t slot, std::int64_t head, Half half) {
  const KvLayout& layout = cache.layout;
  const std::int64_t token_bytes =
      4 + (layout.quant_bits == 8 ? layout.head_dim : (layout.head_dim + 3) / 4 * 2);
  const std::int64_t heads_before = slot % layout.block_len / 64 * layout.num_kv_heads + head;
  return static_cast<const unsigned char*>(cache.data) + slot / layout.block_len * cache.block_stride +
         (heads_before * 2 + (half == Half::values ? 1 : 0)) * 64 * token_bytes;
}

double fp16_at(const unsigned char* bytes, std::int64_t idx) {
  return static_cast<double>(to_float(reinterpret_cast<const f16_t*>(bytes)[idx]));
}

int key_code(const KvLayout& layout, const unsigned char* codes, std::int64_t token, std::int64_t c) {
  if (layout.quant_bits == 8) return codes[c / 2 * 128 + token * 2 + c % 2] ^ 0x80;
  const int byte = codes[c / 4 * 128 + token * 2 + c % 2];
  return c % 4 < 2 ? byte & 15 : byte >> 4;
}

int value_code(const KvLayout& layout, const unsigned char* codes, std::int64_t token, std::int64_t c) {
  const std::int64_t begin = c / 64 * 64, width = std::min<std::int64_t>(64, layout.head_dim - begin);
  const std::int64_t column = c - begin;
  if (layout.quant_bits == 8) return codes[begin * 64 + (token / 2 * width + column) * 2 + token % 2] ^ 0x80;
  const std::int64_t half = width / 2;
  const int byte = codes[begin * 32 + (token / 2 * half + column % half) * 2 + token % 2];
  return column < half ? byte & 15 : byte >> 4;
}

// Element (i, j) of H / sqrt(n).
double hadamard(std::int64_t i, std::int64_t j, std::int64_t n) {
  const int bits = std::popcount(static_cast<std::uint64_t>(i & j));
  return (bits % 2 == 0 ? 1 : -1) / std::sqrt(static_cast<double>(n));
}

}  // namespace

std::vector<double> StoredRow::values() const {
  std::vector<double> result;
  for (const int code : codes) result.push_back(scale * code + minimum);
  return result;
}

StoredRow stored_row(const KvLayer& cache, std::int64_t slot, std::int64_t head, Half half) {
  const unsigned char* data = half_at(cache, slot, head, half);
  const std::int64_t token = slot % 64;
  StoredRow row;
  row.scale = fp16_at(data, token);
  row.minimum = fp16_at(data, 64 + token);
  for (std::int64_t c = 0; c < cache.layout.head_dim; c++)
    row.codes.push_back(half == Half::keys ? key_code(cache.layout, data + 256, token, c)
                                           : value_code(cache.layout, data + 256, token, c));
  return row;
}

Matrix rotate(const Matrix& x, std::int64_t head_dim) {
  const std::int64_t n = head_dim & -head_dim;
  Matrix y(x.num_rows, x.num_columns);
  for (std::int64_t r = 0; r < x.num_rows; r++)
    for (std::int64_t c = 0; c < x.num_columns; c++)
      for (std::int64_t i = 0; i < n; i++) {
        const std::int64_t from = c / n * n + i;
        y.at(r, c) += hadamard(c % n, i, n) * double{kKeySigns.at[from % head_dim]} * x.at(r, from);
      }
  return y;
}

Matrix rotate_back(const Matrix& x, std::int64_t head_dim) {
  const std::int64_t n = head_dim & -head_dim;
  Matrix y(x.num_rows, x.num_columns);
  for (std::int64_t r = 0; r < x.num_rows; r++)
    for (std::int64_t c = 0; c < x.num_columns; c++)
      for (std::int64_t i = 0; i < n; i++)
        y.at(r, c) += hadamard(c % n, i, n) * double{kKeySigns.at[c % head_dim]} * x.at(r, c / n * n + i);
  return y;
}

}  // namespace lmdeploy::ops::ref
