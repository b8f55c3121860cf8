#include <cstring>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// One kv head's part of 64 tokens, as attention_kernel.h reads it.
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

template <class T>
void store_token(const Kernels& kernels, const View& k, const View& v, std::span<const std::int32_t> slots,
                 const KvLayer& cache, std::int64_t row) {
  constexpr std::int64_t kMaxHeadDim = 1024;
  const KvLayout& layout = cache.layout;
  const std::int64_t d = layout.head_dim, slot = slots[static_cast<std::size_t>(row)];
  const std::int64_t in_block = slot % layout.block_len, token = in_block % kTokenBlock;
  const auto next = static_cast<std::size_t>(row) + 1;
  const bool partner_follows = next < slots.size() && slots[next] == slot + 1;
  const bool clear_partner = TokenBlock<T>::kPair == 2 && token % 2 == 0 && !partner_follows;
  const std::int64_t head_elements = 2 * d * kTokenBlock;
  T* block =
      reinterpret_cast<T*>(static_cast<char*>(cache.data) + slot / layout.block_len * cache.block_stride) +
      in_block / kTokenBlock * layout.num_kv_heads * head_elements;
  const auto convert = kernels.cast[dtype_idx(DType::f32)][dtype_idx(layout.dtype)];
  alignas(64) T converted[kMaxHeadDim];
  CHECK(d <= kMaxHeadDim, "store_kv: head_dim {}", d);
  for (std::int64_t head = 0; head < layout.num_kv_heads; head++) {
    const TokenBlock<T> to{block + head * head_elements, block + head * head_elements + d * kTokenBlock, d};
    convert(k.row<float>(row) + head * d, converted, d);
    to.set_key(token, converted);
    convert(v.row<float>(row) + head * d, converted, d);
    to.set_value(token, converted, clear_partner);
  }
}

}  // namespace

void store_kv(Ctx& ctx, const View& k, const View& v, std::span<const std::int32_t> slots,
              const KvLayer& cache) {
  constexpr std::int64_t kScatterCost = 8;
  const Kernels& table = kernels(ctx.cpu_isa);
  parallel_rows(ctx, k.dim(0), k.dim(1) * k.dim(2) * kScatterCost, [&](std::int64_t row) {
    switch (cache.layout.dtype) {
      case DType::bf16:
        return store_token<bf16_t>(table, k, v, slots, cache, row);
      case DType::f16:
        return store_token<f16_t>(table, k, v, slots, cache, row);
      default:
        return store_token<float>(table, k, v, slots, cache, row);
    }
  });
}

}  // namespace lmdeploy::ops::cpu
