#include <algorithm>
#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/store_quantized_kv.h"
#include "ops/key_signs.h"

namespace lmdeploy::ops::cpu {
namespace {

// One kv head's part of 64 tokens, as kv_block.h reads it.
template <class T>
struct TokenBlock {
  static constexpr std::int64_t kPair = std::is_same_v<T, bf16_t> ? 2 : 1;
  T* keys;
  T* values;
  std::int64_t head_dim;

  void set_key(std::int64_t token, const T* k) const {
    T* to = keys + token * kPair;
    for (std::int64_t c = 0; c < head_dim; c += kPair, to += kTokenBlock * kPair)
      std::memcpy(to, k + c, kPair * sizeof(T));
  }
  void get_key(std::int64_t token, T* k) const {
    const T* from = keys + token * kPair;
    for (std::int64_t c = 0; c < head_dim; c += kPair, from += kTokenBlock * kPair)
      std::memcpy(k + c, from, kPair * sizeof(T));
  }
  // clear_partner: the second token of the pair has no value yet, and attention reads pairs.
  void set_value(std::int64_t token, const T* v, bool clear_partner) const {
    for (std::int64_t begin = 0; begin < head_dim; begin += kBlockColumns) {
      const std::int64_t width = std::min(kBlockColumns, head_dim - begin);
      T* to = values + begin * kTokenBlock + token / kPair * width * kPair + token % kPair;
      for (std::int64_t c = 0; c < width; c++) to[c * kPair] = v[begin + c];
      if (clear_partner)
        for (std::int64_t c = 0; c < width; c++) to[c * kPair + 1] = T{};
    }
  }
};

// The part of kv head `head` in the 64 tokens around a slot.
template <class T>
TokenBlock<T> token_block(const KvLayer& cache, std::int64_t slot, std::int64_t head) {
  char* data = token_block_data(cache, slot, head);
  return {reinterpret_cast<T*>(data), reinterpret_cast<T*>(data + cache.layout.head_bytes()),
          cache.layout.head_dim};
}

template <class T>
void store_token(const Kernels& kernels, const View& k, const View& v, std::span<const std::int32_t> slots,
                 const KvLayer& cache, std::int64_t row) {
  const KvLayout& layout = cache.layout;
  const std::int64_t d = layout.head_dim, slot = slots[static_cast<std::size_t>(row)];
  const std::int64_t token = slot % kTokenBlock;
  const auto next = static_cast<std::size_t>(row) + 1;
  const bool partner_follows = next < slots.size() && slots[next] == slot + 1;
  const bool clear_partner = TokenBlock<T>::kPair == 2 && token % 2 == 0 && !partner_follows;
  const auto convert = kernels.cast[dtype_idx(DType::f32)][dtype_idx(layout.dtype)];
  alignas(64) T converted[kMaxHeadDim];
  for (std::int64_t head = 0; head < layout.num_kv_heads; head++) {
    const auto to = token_block<T>(cache, slot, head);
    convert(k.row<float>(row) + head * d, converted, d);
    to.set_key(token, converted);
    convert(v.row<float>(row) + head * d, converted, d);
    to.set_value(token, converted, clear_partner);
  }
}

template <class T>
void read_token(const Kernels& kernels, const KvLayer& cache, std::int64_t slot, float* y) {
  const std::int64_t d = cache.layout.head_dim;
  const auto convert = kernels.cast[dtype_idx(cache.layout.dtype)][dtype_idx(DType::f32)];
  T key[kMaxHeadDim];
  for (std::int64_t head = 0; head < cache.layout.num_kv_heads; head++) {
    token_block<T>(cache, slot, head).get_key(slot % kTokenBlock, key);
    convert(key, y + head * d, d);
  }
}

// Calls body with an element of the cache's type.
template <class Body>
void with_type(DType dtype, const Body& body) {
  if (dtype == DType::bf16) return body(bf16_t{});
  if (dtype == DType::f16) return body(f16_t{});
  body(float{});
}

}  // namespace

void store_kv(Ctx& ctx, const View& k, const View& v, std::span<const std::int32_t> slots,
              const KvLayer& cache) {
  constexpr std::int64_t kScatterCost = 8;
  const Kernels& table = kernels(ctx.cpu_isa);
  parallel_rows(ctx, k.dim(0), k.dim(1) * k.dim(2) * kScatterCost, [&](std::int64_t row) {
    if (cache.layout.quant_bits != 0)
      return store_quantized_token(table, k.row<float>(row), v.row<float>(row), cache,
                                   slots[static_cast<std::size_t>(row)]);
    with_type(cache.layout.dtype, [&]<class T>(T) { store_token<T>(table, k, v, slots, cache, row); });
  });
}

void read_keys(Ctx& ctx, const KvLayer& cache, std::span<const std::int32_t> slots, const View& y) {
  const Kernels& table = kernels(ctx.cpu_isa);
  parallel_rows(ctx, y.dim(0), y.dim(1) * y.dim(2), [&](std::int64_t row) {
    with_type(cache.layout.dtype, [&]<class T>(T) {
      read_token<T>(table, cache, slots[static_cast<std::size_t>(row)], y.row<float>(row));
    });
  });
}

}  // namespace lmdeploy::ops::cpu
