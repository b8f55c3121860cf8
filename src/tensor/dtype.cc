#include "tensor/dtype.h"

#include <limits>

#include "base/error.h"

namespace lmdeploy {

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float32";
    case DType::bf16:
      return "bfloat16";
    case DType::f16:
      return "float16";
    case DType::i32:
      return "int32";
    case DType::i8:
      return "int8";
    case DType::u8:
      return "uint8";
    case DType::f8_e4m3:
      return "float8_e4m3fn";
  }
  return "unknown";
}

float to_float(f16_t value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1fU;
  std::uint32_t mantissa = value.bits & 0x3ffU;
  std::uint32_t bits = 0;
  if (exponent == 0x1f) {
    bits = sign | 0x7f800000U | (mantissa << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  } else if (mantissa != 0) {  // subnormal: normalise
    std::uint32_t e = 113;
    while ((mantissa & 0x400U) == 0) {
      mantissa <<= 1;
      e--;
    }
    bits = sign | (e << 23) | ((mantissa & 0x3ffU) << 13);
  } else {
    bits = sign;
  }
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

template <>
f16_t from_float<f16_t>(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return {static_cast<std::uint16_t>(sign | 0x7e00U)};
  if (magnitude >= 0x477ff000U)
    return {static_cast<std::uint16_t>(sign | 0x7c00U)};  // rounds to 65536 or more
  if (magnitude < 0x38800000U) {  // below the smallest normal: adding 0.5 lets the FPU round the subnormal
    float scaled;
    std::memcpy(&scaled, &magnitude, sizeof scaled);
    scaled += 0.5F;
    std::uint32_t rounded;
    std::memcpy(&rounded, &scaled, sizeof rounded);
    return {static_cast<std::uint16_t>(sign | (rounded - 0x3f000000U))};
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13))};
}

// The same bits as exponent and mantissa of a float are too small by the difference of the biases.
float to_float(f8_e4m3_t value) {
  constexpr std::uint32_t kNan = 0x7f;
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x80U) << 24;
  const std::uint32_t magnitude = value.bits & 0x7fU;
  if (magnitude == kNan) return std::numeric_limits<float>::quiet_NaN();
  const std::uint32_t bits = sign | magnitude << 20;
  float small;
  std::memcpy(&small, &bits, sizeof small);
  return small * 0x1p120F;
}

template <>
f8_e4m3_t from_float<f8_e4m3_t>(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80U);
  std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return {static_cast<std::uint8_t>(sign | 0x7fU)};
  if (magnitude > 0x43e00000U) magnitude = 0x43e00000U;  // 448
  if (magnitude < 0x3c800000U) {  // below 2^-6: the last place of 2^14 and more is 2^-9
    float scaled;
    std::memcpy(&scaled, &magnitude, sizeof scaled);
    scaled += 0x1p14F;
    std::uint32_t rounded;
    std::memcpy(&rounded, &scaled, sizeof rounded);
    return {static_cast<std::uint8_t>(sign | (rounded - 0x46800000U))};
  }
  const std::uint32_t rounded = magnitude + 0x7ffffU + ((magnitude >> 20) & 1U);
  return {static_cast<std::uint8_t>(sign | ((rounded - 0x3c000000U) >> 20))};
}

float round_to_dtype(float value, DType dtype) {
  switch (dtype) {
    case DType::f16:
      return to_float(from_float<f16_t>(value));
    case DType::bf16:
      return to_float(from_float<bf16_t>(value));
    default:
      CHECK(dtype == DType::f32, "a float in {}", dtype_name(dtype));
      return value;
  }
}

}  // namespace lmdeploy
