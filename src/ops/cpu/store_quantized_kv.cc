#include "ops/cpu/store_quantized_kv.h"

#include <algorithm>

#include "ops/key_signs.h"

namespace lmdeploy::ops::cpu {
namespace {

// The keys, or the values, of 64 tokens of one head.
class CodeBlock {
 public:
  CodeBlock(char* data, const KvLayout& layout, std::int64_t token)
      : parameters_(reinterpret_cast<f16_t*>(data)),
        codes_(reinterpret_cast<std::uint8_t*>(data) + 2 * kTokenBlock * sizeof(f16_t)),
        layout_(layout),
        token_(token) {}

  void quantize(const Kernels& kernels, const float* x, std::uint8_t* codes) const {
    kernels.quantize_row(x, layout_.head_dim, layout_.quant_bits,
                         {codes, parameters_ + token_, parameters_ + kTokenBlock + token_});
  }

  void set_key(const std::uint8_t* codes) const {
    std::uint8_t* to = codes_ + token_ * 2;
    const std::int64_t d = layout_.head_dim;
    if (layout_.quant_bits == 8) {
      for (std::int64_t c = 0; c < d; c++) to[c / 2 * kRowBytes + c % 2] = signed_code(codes[c]);
      return;
    }
    for (std::int64_t c = 0; c < d; c += 4, to += kRowBytes)
      for (std::int64_t i = 0; i < 2; i++) to[i] = nibbles(codes[c + i], codes[c + 2 + i]);
  }

  void set_value(const std::uint8_t* codes) const {
    for (std::int64_t begin = 0; begin < layout_.head_dim; begin += kBlockColumns) {
      const std::int64_t width = std::min(kBlockColumns, layout_.head_dim - begin);
      const std::int64_t row_bytes = width * 2 * layout_.quant_bits / 8;
      std::uint8_t* to =
          codes_ + begin * kTokenBlock * layout_.quant_bits / 8 + token_ / 2 * row_bytes + token_ % 2;
      const std::uint8_t* low = codes + begin;
      if (layout_.quant_bits == 8)
        for (std::int64_t c = 0; c < width; c++) to[2 * c] = signed_code(low[c]);
      else
        for (std::int64_t c = 0; c < width / 2; c++) to[2 * c] = nibbles(low[c], low[width / 2 + c]);
    }
  }

 private:
  static constexpr std::int64_t kRowBytes = 2 * kTokenBlock;  // of K

  static std::uint8_t signed_code(std::uint8_t code) { return code ^ 0x80; }
  static std::uint8_t nibbles(std::uint8_t low, std::uint8_t high) {
    return static_cast<std::uint8_t>(low | high << 4);
  }

  f16_t* parameters_;
  std::uint8_t* codes_;
  const KvLayout& layout_;
  std::int64_t token_;
};

// What 4 bits keep of a key.
void prepare_key(const Kernels& kernels, const float* center, std::int64_t head_dim, float* key) {
  if (center != nullptr)
    for (std::int64_t c = 0; c < head_dim; c++) key[c] -= center[c];
  kernels.rotate_head(key, head_dim);
}

}  // namespace

void store_quantized_token(const Kernels& kernels, const float* k, const float* v, const KvLayer& cache,
                           std::int64_t slot) {
  const KvLayout& layout = cache.layout;
  const std::int64_t d = layout.head_dim, token = slot % kTokenBlock;
  float key[kMaxHeadDim];
  std::uint8_t codes[kMaxHeadDim + 2] = {};  // 4 bits of a head_dim that is no multiple of 4 read two more
  for (std::int64_t head = 0; head < layout.num_kv_heads; head++) {
    char* data = token_block_data(cache, slot, head);
    std::copy_n(k + head * d, d, key);
    if (layout.quant_bits == 4)
      prepare_key(kernels, cache.key_centers == nullptr ? nullptr : cache.key_centers + head * d, d, key);
    const CodeBlock keys(data, layout, token), values(data + layout.head_bytes(), layout, token);
    keys.quantize(kernels, key, codes);
    keys.set_key(codes);
    values.quantize(kernels, v + head * d, codes);
    values.set_value(codes);
  }
}

}  // namespace lmdeploy::ops::cpu
