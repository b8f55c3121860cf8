#include "quantize/clipping.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/matrices.h"
#include "quantize/round_to_nearest.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kInputs = 96, kGroup = 32, kTokens = 40, kOutputs = 7;

class Clipping : public ::testing::Test {
 protected:
  // What the group adds to the output is off by this, squared and summed over all tokens, in double.
  static double group_error(const View& weight, const View& inputs, std::int64_t row, std::int64_t group,
                            const GroupGrid& grid) {
    double error = 0;
    for (std::int64_t token = 0; token < kTokens; token++) {
      double sum = 0;
      for (std::int64_t i = group * kGroup; i < (group + 1) * kGroup; i++) {
        const float value = weight.row<float>(row)[i];
        sum += (static_cast<double>(grid.value(grid.code(value))) - value) * inputs.row<float>(token)[i];
      }
      error += sum * sum;
    }
    return error;
  }

  static std::pair<float, float> range(const View& weight, std::int64_t row, std::int64_t group) {
    const float* first = weight.row<float>(row) + group * kGroup;
    const auto [low, high] = std::minmax_element(first, first + kGroup);
    return {*low, *high};
  }

  Cpu cpu_;
  Contexts contexts_{cpu_.ctx};
  RoundingOptions options_{.format = {4, kGroup}};
  Tensor inputs_ = random_matrix(kTokens, kInputs, 1, 4);
};

TEST_F(Clipping, GroupGramsAreTheBlocksOfTheGram) {
  const Tensor grams = group_grams(cpu_.ctx, inputs_, kGroup);
  for (std::int64_t i = 0; i < kInputs; i++)
    for (std::int64_t j = 0; j < kGroup; j++) {
      double sum = 0, size = 0;
      for (std::int64_t token = 0; token < kTokens; token++) {
        const float* x = inputs_.view().row<float>(token);
        const double product = static_cast<double>(x[i]) * x[i / kGroup * kGroup + j];
        sum += product;
        size += std::abs(product);
      }
      ASSERT_NEAR(grams.view().row<float>(i)[j], sum, 1e-5 * size);
    }
}

TEST_F(Clipping, TakesTheBestShareOfTheRange) {
  const Tensor weight = random_matrix(kOutputs, kInputs, 2);
  QuantizedLinear clipped = round_to_nearest(cpu_.ctx, weight, options_);
  clip_grids(contexts_, weight, group_grams(cpu_.ctx, inputs_, kGroup), options_, clipped);
  double before = 0, after = 0;
  for (std::int64_t row = 0; row < kOutputs; row++)
    for (std::int64_t group = 0; group < kInputs / kGroup; group++) {
      const auto [low, high] = range(weight, row, group);
      const double error = group_error(weight, inputs_, row, group, clipped.grid(row, group));
      for (const float share : {1.0F, 0.95F, 0.9F, 0.85F, 0.8F, 0.75F, 0.7F, 0.65F, 0.6F, 0.55F})
        ASSERT_LE(error, 1e-9 + 1.001 * group_error(weight, inputs_, row, group,
                                                    make_grid(low * share, high * share, options_)));
      before += group_error(weight, inputs_, row, group, make_grid(low, high, options_));
      after += error;
    }
  EXPECT_LT(after, 0.9 * before);
}

// One large weight at an input that is nearly 0 is not worth a coarse grid for all the others.
TEST_F(Clipping, LetsGoOfAnOutlierThatDoesNotMatter) {
  const Tensor weight = random_matrix(1, kInputs, 3);
  weight.view().row<float>(0)[5] = 6;
  for (std::int64_t token = 0; token < kTokens; token++) inputs_.view().row<float>(token)[5] *= 1e-3F;
  QuantizedLinear clipped = round_to_nearest(cpu_.ctx, weight, options_);
  const float plain = clipped.grid(0, 0).scale;
  clip_grids(contexts_, weight, group_grams(cpu_.ctx, inputs_, kGroup), options_, clipped);
  EXPECT_LT(clipped.grid(0, 0).scale, 0.85F * plain);
}

TEST_F(Clipping, WithoutInputsTheRangeStays) {
  const Tensor weight = random_matrix(2, kInputs, 4);
  std::fill_n(inputs_.view().as<float>(), kTokens * kInputs, 0.0F);
  QuantizedLinear clipped = round_to_nearest(cpu_.ctx, weight, options_);
  const float plain = clipped.grid(1, 2).scale;
  clip_grids(contexts_, weight, group_grams(cpu_.ctx, inputs_, kGroup), options_, clipped);
  EXPECT_EQ(clipped.grid(1, 2).scale, plain);
  EXPECT_THROW(clip_grids(contexts_, weight, inputs_, options_, clipped), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
