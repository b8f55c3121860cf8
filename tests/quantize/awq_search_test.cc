#include "quantize/awq_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/awq_scales.h"
#include "quantize/matrices.h"
#include "quantize/round_to_nearest.h"

namespace lmdeploy::testing {
namespace {

class AwqSearch : public ::testing::Test {
 protected:
  AwqSearch() {
    for (std::int64_t i = 0; i < kInputs; i++) {
      double sum = 0;
      for (std::int64_t row = 0; row < kTokens; row++) sum += std::abs(inputs_.view().row<float>(row)[i]);
      input_mean_.push_back(static_cast<float>(sum / kTokens));
    }
  }

  // By definition, in double, through the functions that the result is meant for.
  double output_error(const std::vector<View>& weights, const std::vector<float>& scales) {
    double error = 0;
    for (const View& weight : weights) {
      const Tensor scaled = random_matrix(weight.dim(0), kInputs, 0);
      std::copy_n(weight.as<float>(), weight.shape.num_elements(), scaled.view().as<float>());
      multiply_columns(cpu_.ctx, scaled, scales);
      dequantize(cpu_.ctx, round_to_nearest(cpu_.ctx, scaled, options_.rounding), scaled);
      for (std::int64_t token = 0; token < kTokens; token++)
        for (std::int64_t row = 0; row < weight.dim(0); row++) {
          double sum = 0;
          for (std::int64_t i = 0; i < kInputs; i++)
            sum +=
                (static_cast<double>(scaled.view().row<float>(row)[i]) / scales[static_cast<std::size_t>(i)] -
                 weight.row<float>(row)[i]) *
                inputs_.view().row<float>(token)[i];
          error += sum * sum;
        }
    }
    return error;
  }

  static constexpr std::int64_t kInputs = 64, kTokens = 50;
  Cpu cpu_;
  Contexts contexts_{cpu_.ctx};
  SearchOptions options_{.rounding = {.format = {4, 32}}, .num_ratios = 20};
  Tensor inputs_ = random_matrix(kTokens, kInputs, 1, 6);
  std::vector<float> input_mean_;
};

TEST_F(AwqSearch, FindsTheLeastErrorOfItsGrid) {
  const Tensor a = random_matrix(8, kInputs, 2), b = random_matrix(5, kInputs, 3, 1);
  const std::vector<View> weights{a, b};
  const std::vector<float> found = search_scales(contexts_, {weights, inputs_, input_mean_}, options_);
  const std::vector<float> ones(kInputs, 1.0F), sizes = relative_weight_sizes(cpu_.ctx, weights, 32);
  const double error = output_error(weights, found);
  for (const std::vector<float>& divisors : {ones, sizes})
    for (int i = 0; i < 20; i++)
      EXPECT_LE(error, 1.0001 * output_error(weights, balanced_scales(input_mean_, divisors, i / 20.0)));
  EXPECT_LT(error, 0.8 * output_error(weights, ones));
}

// Where all inputs are alike there is nothing to gain from scales, and little to lose.
TEST_F(AwqSearch, NeverDoesWorseThanNoScales) {
  const Tensor weight = random_matrix(8, kInputs, 4);
  inputs_ = random_matrix(kTokens, kInputs, 5);
  const std::vector<View> weights{weight};
  const std::vector<float> found = search_scales(contexts_, {weights, inputs_, input_mean_}, options_);
  EXPECT_LE(output_error(weights, found), 1.0001 * output_error(weights, std::vector<float>(kInputs, 1.0F)));
}

TEST_F(AwqSearch, TakesASampleInTheModelsDtype) {
  const Tensor weight = random_matrix(8, kInputs, 6);
  const std::vector<View> weights{weight};
  Tensor halves(host_allocator(), DType::bf16, {kTokens, kInputs});
  for (std::int64_t i = 0; i < kTokens * kInputs; i++)
    halves.view().as<bf16_t>()[i] = from_float<bf16_t>(inputs_.view().as<float>()[i]);
  const std::vector<float> found = search_scales(contexts_, {weights, halves, input_mean_}, options_);
  EXPECT_LT(output_error(weights, found), 0.8 * output_error(weights, std::vector<float>(kInputs, 1.0F)));
  EXPECT_THROW(search_scales(contexts_, {weights, halves.view().columns(1, 5), input_mean_}, options_),
               CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
