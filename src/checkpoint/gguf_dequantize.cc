// The block formats of GGUF. Every product and sum is rounded to float on its own and in the reference's
// order; this file is compiled with -ffp-contract=off so that no fused multiply-add changes a bit.
#include <array>
#include <cstring>

#include "base/error.h"
#include "checkpoint/gguf_type.h"
#include "tensor/dtype.h"

namespace lmdeploy {
namespace {

constexpr int kSmallBlock = 32;   // Q4_0 to Q8_0
constexpr int kSuperBlock = 256;  // the K types

const std::uint8_t* as_u8(const std::byte* bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes);
}

// Blocks are not aligned to their fields.
float load_f16(const std::byte* bytes) {
  f16_t value;
  std::memcpy(&value, bytes, sizeof value);
  return to_float(value);
}

template <class T>
void copy_element(const std::byte* block, float* values) {
  T value;
  std::memcpy(&value, block, sizeof value);
  *values = to_float(value);
}

// d | 16 bytes: element i in the low nibble, element i + 16 in the high one.
void dequantize_q4_0(const std::byte* block, float* values) {
  const float d = load_f16(block);
  const std::uint8_t* nibbles = as_u8(block + 2);
  for (int i = 0; i < kSmallBlock / 2; ++i) {
    values[i] = d * static_cast<float>((nibbles[i] & 15) - 8);
    values[i + 16] = d * static_cast<float>((nibbles[i] >> 4) - 8);
  }
}

// d | m | nibbles
void dequantize_q4_1(const std::byte* block, float* values) {
  const float d = load_f16(block);
  const float m = load_f16(block + 2);
  const std::uint8_t* nibbles = as_u8(block + 4);
  for (int i = 0; i < kSmallBlock / 2; ++i) {
    values[i] = d * static_cast<float>(nibbles[i] & 15) + m;
    values[i + 16] = d * static_cast<float>(nibbles[i] >> 4) + m;
  }
}

// The five-bit integers of Q5_0 and Q5_1: bit i of the mask is the fifth bit of element i.
std::array<int, kSmallBlock> unpack_five_bits(const std::byte* mask_bytes, const std::byte* nibble_bytes) {
  std::uint32_t mask;
  std::memcpy(&mask, mask_bytes, sizeof mask);
  const std::uint8_t* nibbles = as_u8(nibble_bytes);
  std::array<int, kSmallBlock> result{};
  for (unsigned i = 0; i < kSmallBlock; ++i) {
    const int low = i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4;
    result[i] = low | static_cast<int>((mask >> i & 1U) << 4);
  }
  return result;
}

// d | mask | nibbles
void dequantize_q5_0(const std::byte* block, float* values) {
  const float d = load_f16(block);
  for (const int q : unpack_five_bits(block + 2, block + 6)) *values++ = d * static_cast<float>(q - 16);
}

// d | m | mask | nibbles
void dequantize_q5_1(const std::byte* block, float* values) {
  const float d = load_f16(block);
  const float m = load_f16(block + 2);
  for (const int q : unpack_five_bits(block + 4, block + 8)) *values++ = d * static_cast<float>(q) + m;
}

// d | 32 signed bytes
void dequantize_q8_0(const std::byte* block, float* values) {
  const float d = load_f16(block);
  for (int i = 0; i < kSmallBlock; ++i)
    values[i] = static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * d;
}

// Scales and minima of the eight sub-blocks of Q4_K and Q5_K: six bits each, packed into 12 bytes.
struct SubScale {
  float scale;
  float minimum;
};
std::array<SubScale, 8> unpack_sub_scales(const std::byte* block) {
  const float d = load_f16(block);
  const float dmin = load_f16(block + 2);
  const std::uint8_t* packed = as_u8(block + 4);
  std::array<SubScale, 8> result{};
  for (std::size_t i = 0; i < 4; ++i) {
    const int upper_scale = (packed[8 + i] & 15) | ((packed[i] >> 2) & 0x30);
    const int upper_minimum = (packed[8 + i] >> 4) | ((packed[4 + i] >> 2) & 0x30);
    result[i] = {d * static_cast<float>(packed[i] & 63), dmin * static_cast<float>(packed[4 + i] & 63)};
    result[i + 4] = {d * static_cast<float>(upper_scale), dmin * static_cast<float>(upper_minimum)};
  }
  return result;
}

// d | dmin | 12 bytes of scales | 128 bytes: 32 bytes hold sub-block 2i in the low and 2i + 1 in the high
// nibbles.
void dequantize_q4_k(const std::byte* block, float* values) {
  const std::array<SubScale, 8> sub_scales = unpack_sub_scales(block);
  const std::uint8_t* nibbles = as_u8(block + 16);
  for (std::size_t sub = 0; sub < 8; ++sub) {
    const auto [scale, minimum] = sub_scales[sub];
    const std::uint8_t* bytes = nibbles + sub / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int q = sub % 2 == 0 ? bytes[i] & 15 : bytes[i] >> 4;
      *values++ = scale * static_cast<float>(q) - minimum;
    }
  }
}

// d | dmin | 12 bytes of scales | 32 bytes: bit s of byte i is the fifth bit of element i of sub-block s |
// 128 bytes as in Q4_K.
void dequantize_q5_k(const std::byte* block, float* values) {
  const std::array<SubScale, 8> sub_scales = unpack_sub_scales(block);
  const std::uint8_t* fifth_bits = as_u8(block + 16);
  const std::uint8_t* nibbles = as_u8(block + 48);
  for (std::size_t sub = 0; sub < 8; ++sub) {
    const auto [scale, minimum] = sub_scales[sub];
    const std::uint8_t* bytes = nibbles + sub / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int low = sub % 2 == 0 ? bytes[i] & 15 : bytes[i] >> 4;
      const int q = low | ((fifth_bits[i] >> sub & 1) << 4);
      *values++ = scale * static_cast<float>(q) - minimum;
    }
  }
}

// 128 bytes of low nibbles | 64 bytes of upper bit pairs | 16 signed scales | d. The two halves of 128
// elements are packed alike: run r of 32 elements takes nibbles of 64 bytes and pair r of 32 bytes.
void dequantize_q6_k(const std::byte* block, float* values) {
  const std::uint8_t* nibbles = as_u8(block);
  const std::uint8_t* pairs = as_u8(block + 128);
  const float d = load_f16(block + 208);
  for (int element = 0; element < kSuperBlock; ++element) {
    const int half = element / 128;
    const int run = element % 128 / 32;
    const int i = element % 32;
    const std::uint8_t nibble_byte = nibbles[half * 64 + run % 2 * 32 + i];
    const int low = run < 2 ? nibble_byte & 15 : nibble_byte >> 4;
    const int q = (low | ((pairs[half * 32 + i] >> (2 * run) & 3) << 4)) - 32;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(block[192 + element / 16]));
    values[element] = scale * static_cast<float>(q);
  }
}

using BlockFunction = void (*)(const std::byte* block, float* values);

BlockFunction block_function(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return copy_element<float>;
    case GgufType::f16:
      return copy_element<f16_t>;
    case GgufType::bf16:
      return copy_element<bf16_t>;
    case GgufType::q4_0:
      return dequantize_q4_0;
    case GgufType::q4_1:
      return dequantize_q4_1;
    case GgufType::q5_0:
      return dequantize_q5_0;
    case GgufType::q5_1:
      return dequantize_q5_1;
    case GgufType::q8_0:
      return dequantize_q8_0;
    case GgufType::q4_k:
      return dequantize_q4_k;
    case GgufType::q5_k:
      return dequantize_q5_k;
    case GgufType::q6_k:
      return dequantize_q6_k;
  }
  CHECK(false, "GGUF type {}", static_cast<std::uint32_t>(type));
}

}  // namespace

void dequantize_gguf(GgufType type, std::span<const std::byte> blocks, std::span<float> values) {
  const GgufTypeInfo& info = gguf_type_info(type);
  const auto block_len = static_cast<std::size_t>(info.block_len);
  const auto block_bytes = static_cast<std::size_t>(info.block_bytes);
  CHECK(values.size() % block_len == 0 && blocks.size() == values.size() / block_len * block_bytes,
        "{} values in {} bytes of {}", values.size(), blocks.size(), info.name);
  const BlockFunction dequantize = block_function(type);
  for (std::size_t i = 0; i < values.size() / block_len; ++i)
    dequantize(blocks.data() + i * block_bytes, values.data() + i * block_len);
}

}  // namespace lmdeploy
