#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lmdeploy {

enum class DType : std::uint8_t { f32, bf16, f16, i32, i8, u8, f8_e4m3 };

constexpr std::size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::f8_e4m3:
      return 1;
  }
  return 0;
}

const char* dtype_name(DType dtype);  // "float32", "bfloat16", ... as config.json spells them

// Storage types. Arithmetic happens in float: to_float, from_float.
struct bf16_t {
  std::uint16_t bits;
};
struct f16_t {
  std::uint16_t bits;
};
// A sign, 4 bits of exponent (bias 7), 3 of mantissa; subnormal below 2^-6, 448 at most; no infinity, NaN
// where all but the sign is 1 ("E4M3" of Micikevicius et al. 2022, PyTorch's float8_e4m3fn).
struct f8_e4m3_t {
  std::uint8_t bits;
};

inline float to_float(float value) {
  return value;
}
inline float to_float(bf16_t value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}
float to_float(f16_t value);
float to_float(f8_e4m3_t value);

// Round to nearest, ties to even; NaN stays NaN, too large becomes infinity, or 448 where there is none.
template <class T>
T from_float(float value);
template <>
inline float from_float<float>(float value) {
  return value;
}
template <>
inline bf16_t from_float<bf16_t>(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}
template <>
f16_t from_float<f16_t>(float value);
template <>
f8_e4m3_t from_float<f8_e4m3_t>(float value);

// The number that f32, bf16 or f16 holds of `value`.
float round_to_dtype(float value, DType dtype);

template <class T>
inline constexpr DType kDTypeOf = DType::f32;
template <>
inline constexpr DType kDTypeOf<bf16_t> = DType::bf16;
template <>
inline constexpr DType kDTypeOf<f16_t> = DType::f16;
template <>
inline constexpr DType kDTypeOf<std::int32_t> = DType::i32;
template <>
inline constexpr DType kDTypeOf<std::int8_t> = DType::i8;
template <>
inline constexpr DType kDTypeOf<std::uint8_t> = DType::u8;
template <>
inline constexpr DType kDTypeOf<f8_e4m3_t> = DType::f8_e4m3;

}  // namespace lmdeploy
