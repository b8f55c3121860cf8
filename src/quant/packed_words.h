#pragma once
// Numbers of 4 or 8 bits inside 32-bit words, the lowest bits first, as every file format here has them.
#include <bit>
#include <cstdint>
#include <cstring>

#include "tensor/tensor.h"

namespace lmdeploy {

static_assert(std::endian::native == std::endian::little, "a word's lowest bits are its first byte");

constexpr std::int64_t numbers_per_word(std::int32_t bits) {
  return 32 / bits;
}
constexpr std::int64_t words_for(std::int64_t count, std::int32_t bits) {
  return (count + numbers_per_word(bits) - 1) / numbers_per_word(bits);
}

// Eight 4-bit numbers as eight bytes, and back.
constexpr std::uint64_t spread_nibbles(std::uint32_t word) {
  std::uint64_t x = word;
  x = (x | x << 16) & 0x0000'ffff'0000'ffff;
  x = (x | x << 8) & 0x00ff'00ff'00ff'00ff;
  return (x | x << 4) & 0x0f0f'0f0f'0f0f'0f0f;
}
constexpr std::uint32_t gather_nibbles(std::uint64_t bytes) {
  std::uint64_t x = bytes & 0x0f0f'0f0f'0f0f'0f0f;
  x = (x | x >> 4) & 0x00ff'00ff'00ff'00ff;
  x = (x | x >> 8) & 0x0000'ffff'0000'ffff;
  return static_cast<std::uint32_t>(x | x >> 16);
}

// The first `count` bytes, and back. Nearly always there are eight: one instruction instead of a call.
inline void store_bytes(std::uint64_t bytes, std::int64_t count, std::uint8_t* target) {
  if (count == 8)
    std::memcpy(target, &bytes, 8);
  else
    std::memcpy(target, &bytes, static_cast<std::size_t>(count));
}

inline std::uint64_t load_bytes(const std::uint8_t* source, std::int64_t count) {
  std::uint64_t bytes = 0;
  if (count == 8)
    std::memcpy(&bytes, source, 8);
  else
    std::memcpy(&bytes, source, static_cast<std::size_t>(count));
  return bytes;
}

// The numbers of one word as bytes; `count` of them, at most numbers_per_word(bits).
inline void unpack_word(std::uint32_t word, std::int32_t bits, std::int64_t count, std::uint8_t* numbers) {
  store_bytes(bits == 4 ? spread_nibbles(word) : word, count, numbers);
}
inline std::uint32_t pack_word(const std::uint8_t* numbers, std::int32_t bits, std::int64_t count) {
  const std::uint64_t bytes = load_bytes(numbers, count);
  return bits == 4 ? gather_nibbles(bytes) : static_cast<std::uint32_t>(bytes);
}

// Number i of a row of words.
inline std::uint8_t get_number(const std::int32_t* words, std::int32_t bits, std::int64_t i) {
  const auto word = static_cast<std::uint32_t>(words[i / numbers_per_word(bits)]);
  return static_cast<std::uint8_t>(word >> (i % numbers_per_word(bits) * bits) & ((1U << bits) - 1));
}

// Scales, in whatever float a file has them. [row, column] of a rank-2 view.
inline float get_float(const View& floats, std::int64_t row, std::int64_t column) {
  if (floats.dtype == DType::f16) return to_float(floats.row<f16_t>(row)[column]);
  if (floats.dtype == DType::bf16) return to_float(floats.row<bf16_t>(row)[column]);
  return floats.row<float>(row)[column];
}
inline void set_float(const View& floats, std::int64_t row, std::int64_t column, float value) {
  if (floats.dtype == DType::f16)
    floats.row<f16_t>(row)[column] = from_float<f16_t>(value);
  else if (floats.dtype == DType::bf16)
    floats.row<bf16_t>(row)[column] = from_float<bf16_t>(value);
  else
    floats.row<float>(row)[column] = value;
}

}  // namespace lmdeploy
