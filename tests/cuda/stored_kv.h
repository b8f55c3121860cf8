#pragma once
// What lies in a cache that the card's kernels have written (ops/cuda/kv_block.cuh), read byte by byte.
#include <algorithm>
#include <utility>

#include "ops/kv_layer.h"
#include "ops/ref/kv_cache.h"
#include "tensor/tensor.h"

namespace lmdeploy::ops {

class StoredKv {
 public:
  // copy: all of the cache's memory, its layer `offset` bytes behind the beginning of each block.
  StoredKv(const KvLayer& cache, Tensor copy, std::int64_t offset)
      : layout_(cache.layout), stride_(cache.block_stride), offset_(offset), copy_(std::move(copy)) {}

  // Writes a token's key, or value, of one head to `to`.
  void read(std::int64_t slot, std::int64_t head, ref::Half half, double* to) const {
    if (layout_.quant_bits != 0) {
      const auto values = codes(slot, head, half).values();
      std::copy(values.begin(), values.end(), to);
      return;
    }
    const unsigned char* data = half_at(slot, head, half);
    for (std::int64_t c = 0; c < layout_.head_dim; c++)
      to[c] = float_at(data, layout_.dtype, slot % 64 * layout_.head_dim + c);
  }

  ref::StoredRow codes(std::int64_t slot, std::int64_t head, ref::Half half) const {
    const unsigned char* data = half_at(slot, head, half);
    const std::int64_t token = slot % 64, d = layout_.head_dim;
    ref::StoredRow row;
    row.scale = float_at(data, DType::f16, token);
    row.minimum = float_at(data, DType::f16, 64 + token);
    for (std::int64_t c = 0; c < d; c++) {
      if (layout_.quant_bits == 8) {
        row.codes.push_back(data[256 + token * d + c]);
        continue;
      }
      constexpr std::int64_t kOrder[] = {0, 4, 1, 5, 2, 6, 3, 7};
      const std::int64_t nibble = d % 8 == 0 ? c / 8 * 8 + kOrder[c % 8] : c;
      const int byte = data[256 + token * ((d + 3) / 4 * 2) + nibble / 2];
      row.codes.push_back(nibble % 2 == 0 ? byte & 15 : byte >> 4);
    }
    return row;
  }

 private:
  const unsigned char* half_at(std::int64_t slot, std::int64_t head, ref::Half half) const {
    const std::int64_t page = slot % layout_.block_len / 64 * layout_.num_kv_heads + head;
    return copy_.view().as<std::uint8_t>() + slot / layout_.block_len * stride_ + offset_ +
           (page * 2 + (half == ref::Half::values ? 1 : 0)) * 64 * layout_.token_bytes();
  }
  static double float_at(const unsigned char* data, DType dtype, std::int64_t i) {
    if (dtype == DType::bf16) return static_cast<double>(to_float(reinterpret_cast<const bf16_t*>(data)[i]));
    if (dtype == DType::f16) return static_cast<double>(to_float(reinterpret_cast<const f16_t*>(data)[i]));
    return static_cast<double>(reinterpret_cast<const float*>(data)[i]);
  }

  KvLayout layout_;
  std::int64_t stride_;
  std::int64_t offset_;
  Tensor copy_;
};

}  // namespace lmdeploy::ops
