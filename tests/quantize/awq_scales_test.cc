#include "quantize/awq_scales.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/matrices.h"

namespace lmdeploy::testing {
namespace {

TEST(AwqScales, WeightSizesAreMeansOverRowsOfSharesOfTheGroupsLargest) {
  const Tensor a = matrix_of(2, 4,
                             {1, -2, 3, 0,  //
                              4, 4, 0, 0});
  const Tensor b = matrix_of(1, 4, {0, 5, -10, 5});
  const View weights[] = {a, b};
  Cpu cpu;
  const std::vector<float> sizes = relative_weight_sizes(cpu.ctx, weights, 2);
  EXPECT_THAT(sizes, ::testing::ElementsAre(0.5F, 1.0F, 2 / 3.0F, 0.5F / 3));
  EXPECT_THROW(relative_weight_sizes(cpu.ctx, weights, 3), CheckFailure);
}

TEST(AwqScales, TheRuleWeighsActivationsAgainstWeights) {
  const std::vector<float> input_max{16, 1, 4}, weight_sizes{1, 1, 0.25F};
  // 4, 1 and 2 / 0.5 before their middle, sqrt(4 * 1), divides them.
  EXPECT_THAT(rule_scales(input_max, weight_sizes), ::testing::ElementsAre(2.0F, 0.5F, 2.0F));
}

TEST(AwqScales, AnInputThatIsAlwaysZeroKeepsItsScale) {
  const std::vector<float> input_max{0, 16, 4, std::nanf("")}, weight_sizes{1, 1, 1, 1};
  const std::vector<float> scales = rule_scales(input_max, weight_sizes);
  EXPECT_EQ(scales[0], 1);
  EXPECT_NEAR(scales[1], std::sqrt(2.0F), 1e-6);
  EXPECT_NEAR(scales[2], std::sqrt(0.5F), 1e-6);
  EXPECT_EQ(scales[3], 1);
  const std::vector<float> nothing(4, 0.0F);
  EXPECT_THAT(rule_scales(nothing, weight_sizes), ::testing::Each(1.0F));
}

TEST(AwqScales, AWeightOfZerosHasABoundedScale) {
  const std::vector<float> input_max{1, 1}, weight_sizes{0, 1};
  EXPECT_THAT(rule_scales(input_max, weight_sizes), ::testing::ElementsAre(100.0F, 0.01F));
}

// What is multiplied into a layer's inputs is divided out of the outputs before it: no product changes.
TEST(AwqScales, FoldingChangesNoProduct) {
  Cpu cpu;
  const Tensor first = random_matrix(3, 4, 1), second = random_matrix(2, 3, 2);
  const auto product = [&](std::int64_t row, std::int64_t column) {
    double sum = 0;
    for (std::int64_t i = 0; i < 3; i++)
      sum += static_cast<double>(second.view().row<float>(row)[i]) * first.view().row<float>(i)[column];
    return sum;
  };
  std::vector<double> before;
  for (std::int64_t i = 0; i < 8; i++) before.push_back(product(i / 4, i % 4));
  const std::vector<float> scales{0.3F, 7, 1.1F};
  multiply_columns(cpu.ctx, second, scales);
  divide_rows(cpu.ctx, first, scales);
  for (std::int64_t i = 0; i < 8; i++)
    EXPECT_NEAR(product(i / 4, i % 4), before[static_cast<std::size_t>(i)], 1e-5);
  EXPECT_THROW(multiply_columns(cpu.ctx, first, scales), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
