#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <random>

namespace lmdeploy {
namespace {

// A 16-bit format in numbers, decoded and rounded in double: shares nothing with the code under test.
struct Format {
  int exponent_bits;
  int mantissa_bits;

  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  int max_exponent() const { return (1 << exponent_bits) - 1; }

  double decode(std::uint16_t bits) const {
    const double sign = (bits >> 15) != 0 ? -1.0 : 1.0;
    const int exponent = (bits >> mantissa_bits) & max_exponent();
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    if (exponent == max_exponent())
      return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                           : sign * std::numeric_limits<double>::infinity();
    const int hidden = exponent == 0 ? 0 : 1 << mantissa_bits;
    return sign * std::ldexp(hidden + mantissa, std::max(exponent, 1) - bias() - mantissa_bits);
  }

  // Nearest, ties to even; beyond the largest number, infinity as IEEE 754 says.
  double round(double value) const {
    if (std::isnan(value) || std::isinf(value) || value == 0) return value;
    const int exponent = std::max(std::ilogb(value), 1 - bias());
    const double unit = std::ldexp(1.0, exponent - mantissa_bits);
    const double rounded = std::nearbyint(value / unit) * unit;
    const double max = decode(static_cast<std::uint16_t>((max_exponent() << mantissa_bits) - 1));
    return std::abs(rounded) > max ? std::copysign(std::numeric_limits<double>::infinity(), value) : rounded;
  }
};

constexpr Format kHalf{5, 10};
constexpr Format kBrain{8, 7};

template <class T>
struct FormatOf;
template <>
struct FormatOf<f16_t> {
  static constexpr Format kFormat = kHalf;
};
template <>
struct FormatOf<bf16_t> {
  static constexpr Format kFormat = kBrain;
};

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

template <class T>
class SixteenBits : public ::testing::Test {};
using SixteenBitTypes = ::testing::Types<f16_t, bf16_t>;
TYPED_TEST_SUITE(SixteenBits, SixteenBitTypes);

TYPED_TEST(SixteenBits, EveryValueDecodes) {
  constexpr Format kFormat = FormatOf<TypeParam>::kFormat;
  for (std::uint32_t bits = 0; bits < 65536; bits++) {
    const TypeParam value{static_cast<std::uint16_t>(bits)};
    ASSERT_TRUE(same(to_float(value), kFormat.decode(value.bits))) << bits;
  }
}

TYPED_TEST(SixteenBits, EveryValueSurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 65536; bits++) {
    const float value = to_float(TypeParam{static_cast<std::uint16_t>(bits)});
    const TypeParam back = from_float<TypeParam>(value);
    if (std::isnan(value))
      ASSERT_TRUE(std::isnan(to_float(back))) << bits;
    else
      ASSERT_EQ(back.bits, bits);
  }
}

TEST(EightBits, EveryValueDecodes) {
  for (int bits = 0; bits < 256; bits++) {
    const int exponent = bits / 8 % 16, mantissa = bits % 8;
    const double magnitude = exponent == 15 && mantissa == 7 ? NAN
                             : exponent == 0                 ? std::ldexp(mantissa, -9)
                                                             : std::ldexp(8 + mantissa, exponent - 10);
    const double expected = bits < 128 ? magnitude : -magnitude;
    const f8_e4m3_t value{static_cast<std::uint8_t>(bits)};
    ASSERT_TRUE(same(to_float(value), expected)) << bits;
    const f8_e4m3_t back = from_float<f8_e4m3_t>(to_float(value));
    if (std::isnan(expected))
      ASSERT_EQ(back.bits & 0x7f, 0x7f);
    else
      ASSERT_EQ(back.bits, bits);
  }
}

// Of neighbours the nearer one, and in the middle the even one; beyond the last one itself.
TEST(EightBits, FloatsRoundToTheNearest) {
  for (int bits = 0; bits < 0x7e; bits++) {
    const auto low = f8_e4m3_t{static_cast<std::uint8_t>(bits)},
               high = f8_e4m3_t{static_cast<std::uint8_t>(bits + 1)};
    const float middle = (to_float(low) + to_float(high)) / 2;
    const auto rounded = [](float value) { return from_float<f8_e4m3_t>(value).bits; };
    ASSERT_EQ(rounded(middle), bits % 2 == 0 ? low.bits : high.bits);
    ASSERT_EQ(rounded(std::nextafter(middle, -INFINITY)), low.bits);
    ASSERT_EQ(rounded(std::nextafter(middle, INFINITY)), high.bits);
    ASSERT_EQ(rounded(-std::nextafter(middle, INFINITY)), high.bits | 0x80);
  }
  for (const float large : {448.0F, 449.0F, 464.0F, 1e30F, INFINITY}) {
    EXPECT_EQ(to_float(from_float<f8_e4m3_t>(large)), 448);
    EXPECT_EQ(to_float(from_float<f8_e4m3_t>(-large)), -448);
  }
}

// Each midpoint between two neighbours, and the floats right beside it: where rounding can go wrong.
TYPED_TEST(SixteenBits, MidpointsRoundToEvenAndTheirNeighboursToTheNearest) {
  constexpr Format kFormat = FormatOf<TypeParam>::kFormat;
  for (std::uint32_t bits = 0; bits < 65535; bits++) {
    const double low = kFormat.decode(static_cast<std::uint16_t>(bits));
    const double high = kFormat.decode(static_cast<std::uint16_t>(bits + 1));
    if (!std::isfinite(low) || !std::isfinite(high)) continue;
    const auto middle = static_cast<float>((low + high) / 2);
    for (const float value : {std::nextafter(middle, -INFINITY), middle, std::nextafter(middle, INFINITY)})
      ASSERT_TRUE(same(to_float(from_float<TypeParam>(value)), kFormat.round(double{value}))) << value;
  }
}

TYPED_TEST(SixteenBits, RandomFloatsOfEveryMagnitudeRoundToTheNearest) {
  constexpr Format kFormat = FormatOf<TypeParam>::kFormat;
  std::mt19937 random(7);
  for (int i = 0; i < 1'000'000; i++) {
    const auto bits = static_cast<std::uint32_t>(random());
    float value;
    std::memcpy(&value, &bits, sizeof value);
    ASSERT_TRUE(same(to_float(from_float<TypeParam>(value)), kFormat.round(double{value}))) << bits;
  }
}

TYPED_TEST(SixteenBits, BeyondTheLargestIsInfinity) {
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_float(from_float<TypeParam>(kMax)), kInfinity);
  EXPECT_EQ(to_float(from_float<TypeParam>(-kMax)), -kInfinity);
  EXPECT_EQ(to_float(from_float<TypeParam>(-kInfinity)), -kInfinity);
}

TEST(DType, HalfOverflowsAtTheMidpointAboveItsLargest) {
  EXPECT_EQ(to_float(from_float<f16_t>(65519.996F)), 65504.0F);
  EXPECT_TRUE(std::isinf(to_float(from_float<f16_t>(65520.0F))));
}

TEST(DType, NamesAndSizes) {
  EXPECT_STREQ(dtype_name(DType::f32), "float32");
  EXPECT_STREQ(dtype_name(DType::bf16), "bfloat16");
  EXPECT_STREQ(dtype_name(DType::f16), "float16");
  EXPECT_EQ(dtype_bytes(DType::f32), sizeof(float));
  EXPECT_EQ(dtype_bytes(DType::i32), sizeof(std::int32_t));
  EXPECT_EQ(dtype_bytes(DType::bf16), sizeof(bf16_t));
  EXPECT_EQ(dtype_bytes(DType::f16), sizeof(f16_t));
  EXPECT_EQ(dtype_bytes(DType::i8), 1U);
  EXPECT_EQ(dtype_bytes(DType::u8), 1U);
}

}  // namespace
}  // namespace lmdeploy
