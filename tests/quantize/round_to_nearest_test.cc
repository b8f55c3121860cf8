#include "quantize/round_to_nearest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/matrices.h"

namespace lmdeploy::testing {
namespace {

std::vector<int> values_of(const View& codes, std::int64_t row = 0) {
  const auto* first = codes.row<std::uint8_t>(row);
  return {first, first + codes.dim(1)};
}

class RoundToNearest : public ::testing::Test {
 protected:
  Cpu cpu_;
};

TEST_F(RoundToNearest, SpansEachGroupAndZero) {
  const Tensor weight = matrix_of(1, 16,
                                  {-3, 0, 1, 12,         // from -3 to 12
                                   1.5, 3, 4.5, 7.5,     // 0 belongs to every grid
                                   -15, -1, -2, -14.4F,  // on the other side too
                                   0, 0, 0, 0});
  const QuantizedLinear rounded = round_to_nearest(cpu_.ctx, weight, {.format = {4, 4}});
  EXPECT_EQ(values_of(rounded.q), (std::vector<int>{0, 3, 4, 15, 3, 6, 9, 15, 0, 14, 13, 1, 0, 0, 0, 0}));
  EXPECT_EQ(values_of(rounded.zeros), (std::vector<int>{3, 0, 15, 0}));
  const float* scales = rounded.scales.view().row<float>(0);
  EXPECT_EQ(scales[0], 1);
  EXPECT_EQ(scales[1], 0.5);
  EXPECT_EQ(scales[2], 1);
  EXPECT_GT(scales[3], 0);
}

TEST_F(RoundToNearest, SymmetricGridsHaveTheirZeroInTheMiddle) {
  const Tensor weight = matrix_of(1, 4, {-7.5, 7.5, 0, 3.1F});
  const QuantizedLinear rounded =
      round_to_nearest(cpu_.ctx, weight, {{4, 4}, /*symmetric=*/true, DType::f16});
  EXPECT_EQ(values_of(rounded.q), (std::vector<int>{0, 15, 8, 11}));
  EXPECT_EQ(values_of(rounded.zeros), (std::vector<int>{8}));
}

TEST_F(RoundToNearest, AZeroThatMayNotBe0CostsNoWeightItsPlace) {
  const Tensor weight = matrix_of(1, 8,
                                  {0, 7, 14, 1,  //
                                   -1, 14, 0, 3});
  const QuantizedLinear rounded = round_to_nearest(cpu_.ctx, weight, {.format = {4, 4}, .min_zero = 1});
  EXPECT_EQ(values_of(rounded.zeros), (std::vector<int>{1, 1}));
  EXPECT_EQ(values_of(rounded.q), (std::vector<int>{1, 8, 15, 2, 0, 15, 1, 4}));
}

TEST_F(RoundToNearest, TiesGoToTheEvenNeighbourOfZero) {
  const Tensor weight = matrix_of(1, 8, {0, 15, 0.5, 1.5, 2.5, 3.5, 4.49F, 4.51F});
  const QuantizedLinear rounded = round_to_nearest(cpu_.ctx, weight, {.format = {4, 8}});
  EXPECT_EQ(values_of(rounded.q), (std::vector<int>{0, 15, 0, 2, 2, 4, 4, 5}));
}

// By definition: of all codes none lies nearer.
TEST_F(RoundToNearest, TakesTheNearestPoint) {
  for (const int bits : {4, 8})
    for (const bool symmetric : {false, true})
      for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (const std::int64_t group_size : {1, 3, 8, 24}) {
          const Tensor weight = random_matrix(5, 24, static_cast<unsigned>(group_size), 3);
          const QuantizedLinear rounded =
              round_to_nearest(cpu_.ctx, weight, {{bits, group_size}, symmetric, dtype});
          for (std::int64_t i = 0; i < 5 * 24; i++) {
            const GroupGrid grid = rounded.grid(i / 24, i % 24 / group_size);
            const float value = weight.view().as<float>()[i];
            const auto error = [&](int code) {
              return std::abs(grid.value(static_cast<float>(code)) - value);
            };
            const float actual = error(rounded.q.view().as<std::uint8_t>()[i]);
            for (int code = 0; code < 1 << bits; code++)
              ASSERT_LE(actual, error(code) + 1e-6F * grid.max_code * grid.scale);
            const float scale_error = dtype == DType::bf16  ? 1 / 256.0F
                                      : dtype == DType::f16 ? 1 / 2048.0F
                                                            : 0;
            ASSERT_LE(actual, grid.scale * (0.5F + grid.max_code * (scale_error + 1e-6F)));
          }
        }
}

TEST_F(RoundToNearest, TheFileHoldsEveryScale) {
  const Tensor weight = random_matrix(7, 64, 1, 12);
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const QuantizedLinear rounded = round_to_nearest(cpu_.ctx, weight, {{4, 32}, false, dtype});
    for (std::int64_t i = 0; i < rounded.scales.shape().num_elements(); i++) {
      const float scale = rounded.scales.view().as<float>()[i];
      EXPECT_EQ(scale, dtype == DType::f16 ? to_float(from_float<f16_t>(scale))
                                           : to_float(from_float<bf16_t>(scale)));
    }
  }
}

TEST_F(RoundToNearest, RoundingAgainChangesNothing) {
  const Tensor weight = random_matrix(9, 96, 2);
  const QuantizedLinear rounded = round_to_nearest(cpu_.ctx, weight, {.format = {4, 32}});
  const Tensor values = random_matrix(9, 96, 3);
  dequantize(cpu_.ctx, rounded, values);
  QuantizedLinear again = round_to_nearest(cpu_.ctx, weight, {.format = {4, 32}});
  round_to_grids(cpu_.ctx, values, again);
  for (std::int64_t row = 0; row < 9; row++) EXPECT_EQ(values_of(again.q, row), values_of(rounded.q, row));
}

TEST_F(RoundToNearest, RefusesWhatNoGridHolds) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {infinity, -infinity, std::nanf(""), 1e7F})  // 1e7 / 15 is beyond float16
    EXPECT_THROW(round_to_nearest(cpu_.ctx, matrix_of(1, 4, {1, bad, 2, 3}), {.format = {4, 4}}), Error);
  EXPECT_NO_THROW(round_to_nearest(cpu_.ctx, matrix_of(1, 4, {1, 1e7F, 2, 3}), {{4, 4}, false, DType::bf16}));
  EXPECT_THROW(round_to_nearest(cpu_.ctx, random_matrix(2, 10, 4), {.format = {4, 4}}), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
