#include "tensor/dtype.h"

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
