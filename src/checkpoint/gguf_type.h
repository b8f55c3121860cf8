#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lmdeploy {

// Tensor types of GGUF that we dequantise. Values are the file's own numbers.
enum class GgufType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

// A tensor's rows are runs of blocks: block_len elements in block_bytes bytes.
struct GgufTypeInfo {
  GgufType type;
  std::string_view name;  // "Q4_K"
  std::int64_t block_len;
  std::int64_t block_bytes;
};

const GgufTypeInfo* find_gguf_type(std::uint32_t number);  // nullptr: not one of GgufType
const GgufTypeInfo& gguf_type_info(GgufType type);
std::string gguf_type_name(std::uint32_t number);  // also of known types that are not supported: "IQ2_XS"
std::string supported_gguf_types();                // "F32, F16, Q4_0, ..."

// Turns whole blocks into floats, bit-equal to the reference implementation (PyPI package gguf).
// blocks: values.size() / block_len blocks; values.size() is a multiple of block_len.
void dequantize_gguf(GgufType type, std::span<const std::byte> blocks, std::span<float> values);

}  // namespace lmdeploy
