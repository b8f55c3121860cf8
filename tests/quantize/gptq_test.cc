#include "quantize/gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/gram.h"
#include "quantize/matrices.h"
#include "quantize/round_to_nearest.h"

namespace lmdeploy::testing {
namespace {

using Doubles = std::vector<std::vector<double>>;

Doubles inverse(Doubles matrix) {  // Gauss and Jordan, of a positive definite matrix
  const std::size_t k = matrix.size();
  for (std::size_t p = 0; p < k; p++) {
    const double pivot = matrix[p][p];
    matrix[p][p] = 1;
    for (double& value : matrix[p]) value /= pivot;
    for (std::size_t r = 0; r < k; r++) {
      if (r == p) continue;
      const double factor = std::exchange(matrix[r][p], 0);
      for (std::size_t c = 0; c < k; c++) matrix[r][c] -= factor * matrix[p][c];
    }
  }
  return matrix;
}

class Gptq : public ::testing::Test {
 protected:
  // Inputs that depend on each other, as activations do: each is half its neighbour.
  const View& make_hessian(std::int64_t k, std::int64_t num_tokens) {
    const Tensor x = random_matrix(num_tokens, k, static_cast<unsigned>(k), 3);
    for (std::int64_t row = 0; row < num_tokens; row++)
      for (std::int64_t i = 1; i < k; i++)
        x.view().row<float>(row)[i] += 0.5F * x.view().row<float>(row)[i - 1];
    gram_ = std::make_unique<Gram>(cpu_.ctx, k);
    gram_->add(x);
    return gram_->matrix();
  }

  QuantizedLinear quantize(const View& weight, const View& hessian, const FeedbackOptions& options,
                           const QuantFormat& format) {
    QuantizedLinear result = round_to_nearest(cpu_.ctx, weight, {.format = format});
    round_with_feedback(cpu_.ctx, weight, make_error_feedback(cpu_.ctx, hessian, options), result);
    return result;
  }

  // Frantar et al. 2022, algorithm 1 without its batches, in double and with the inverse Hessian: every code
  // is the nearest to what the weight has become by the codes before it.
  static void expect_textbook(const View& weight, const View& hessian, const FeedbackOptions& options,
                              const QuantizedLinear& result) {
    const auto k = static_cast<std::size_t>(weight.dim(1));
    Doubles damped(k, std::vector<double>(k));
    double mean = 0;
    for (std::size_t i = 0; i < k; i++) mean += at(hessian, i, i) / static_cast<double>(k);
    for (std::size_t r = 0; r < k; r++)
      for (std::size_t c = 0; c < k; c++)
        damped[r][c] = at(hessian, r, c) + (r == c ? options.damping * mean : 0);
    std::vector<std::size_t> order(k);
    std::iota(order.begin(), order.end(), 0);
    if (options.act_order)
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return at(hessian, a, a) > at(hessian, b, b); });

    Doubles inverse_left = inverse(damped);  // of the inputs that are not rounded yet
    Doubles weights(static_cast<std::size_t>(weight.dim(0)), std::vector<double>(k));
    for (std::size_t row = 0; row < weights.size(); row++)
      for (std::size_t i = 0; i < k; i++) weights[row][i] = at(weight, row, i);
    for (const std::size_t input : order) {
      const std::vector<double> pivot_row = inverse_left[input];
      for (std::size_t row = 0; row < weights.size(); row++)
        step(weights[row], row, input, pivot_row, result);
      for (std::size_t r = 0; r < k; r++) {
        const double factor = inverse_left[r][input] / pivot_row[input];
        for (std::size_t c = 0; c < k; c++) inverse_left[r][c] -= factor * pivot_row[c];
      }
    }
  }

  static double at(const View& matrix, std::size_t row, std::size_t column) {
    return static_cast<double>(matrix.row<float>(static_cast<std::int64_t>(row))[column]);
  }

  static void step(std::vector<double>& weights, std::size_t row, std::size_t input,
                   const std::vector<double>& pivot_row, const QuantizedLinear& result) {
    const auto signed_row = static_cast<std::int64_t>(row), signed_input = static_cast<std::int64_t>(input);
    const GroupGrid grid = result.grid(signed_row, signed_input / result.format.group_size);
    const double code = result.q.view().row<std::uint8_t>(signed_row)[input];
    const double wanted =
        std::clamp<double>(weights[input] / grid.scale + grid.zero, 0, static_cast<double>(grid.max_code));
    ASSERT_NEAR(code, wanted, 0.5 + 2e-3) << "row " << row << ", input " << input;
    const double error = (weights[input] - (code - grid.zero) * grid.scale) / pivot_row[input];
    for (std::size_t i = 0; i < weights.size(); i++) weights[i] -= error * pivot_row[i];
  }

  // tr(E H E^T): the squared output error over the calibration inputs.
  double output_error(const View& weight, const View& hessian, const QuantizedLinear& result) {
    const Tensor rounded(host_allocator(), DType::f32, weight.shape);
    dequantize(cpu_.ctx, result, rounded);
    double sum = 0;
    for (std::int64_t row = 0; row < weight.dim(0); row++)
      for (std::int64_t a = 0; a < weight.dim(1); a++)
        for (std::int64_t b = 0; b < weight.dim(1); b++)
          sum += (static_cast<double>(weight.row<float>(row)[a]) - rounded.view().row<float>(row)[a]) *
                 hessian.row<float>(a)[b] *
                 (static_cast<double>(weight.row<float>(row)[b]) - rounded.view().row<float>(row)[b]);
    return sum;
  }

  static void expect_same_codes(const QuantizedLinear& actual, const QuantizedLinear& expected) {
    for (std::int64_t i = 0; i < expected.q.shape().num_elements(); i++)
      ASSERT_EQ(actual.q.view().as<std::uint8_t>()[i], expected.q.view().as<std::uint8_t>()[i]) << i;
  }

  Cpu cpu_;
  std::unique_ptr<Gram> gram_;
};

TEST_F(Gptq, FollowsTheTextbook) {
  struct Case {
    std::int64_t n, k;
    QuantFormat format;
  };
  for (const Case& c : {Case{1, 1, {4, 1}}, Case{3, 6, {4, 3}}, Case{5, 128, {4, 32}}, Case{2, 129, {4, 43}},
                        Case{4, 300, {4, 100}}, Case{3, 300, {8, 300}}, Case{1025, 4, {4, 2}}})
    for (const bool act_order : {false, true}) {
      const Tensor weight = random_matrix(c.n, c.k, 7);
      const View& hessian = make_hessian(c.k, 3 * c.k);
      const FeedbackOptions options{.damping = 0.01, .act_order = act_order};
      expect_textbook(weight, hessian, options, quantize(weight, hessian, options, c.format));
    }
}

TEST_F(Gptq, IndependentInputsAreRoundedToNearest) {
  const Tensor weight = random_matrix(6, 200, 8), hessian = random_matrix(200, 200, 9);
  for (std::int64_t i = 0; i < 200 * 200; i++)
    hessian.view().as<float>()[i] = i % 201 == 0 ? 1.0F + static_cast<float>(i % 7) : 0.0F;
  expect_same_codes(quantize(weight, hessian, {}, {4, 50}),
                    round_to_nearest(cpu_.ctx, weight, {.format = {4, 50}}));
}

TEST_F(Gptq, HalvesTheOutputErrorOfDependentInputs) {
  const Tensor weight = random_matrix(16, 256, 10);
  const View& hessian = make_hessian(256, 1024);
  const double nearest =
      output_error(weight, hessian, round_to_nearest(cpu_.ctx, weight, {.format = {4, 64}}));
  EXPECT_LT(output_error(weight, hessian, quantize(weight, hessian, {}, {4, 64})), 0.5 * nearest);
}

TEST_F(Gptq, FewerTokensThanInputsWillDo) {
  const Tensor weight = random_matrix(4, 256, 11);
  const View& hessian = make_hessian(256, 10);
  for (const double damping : {1e-9, 0.01}) {
    const QuantizedLinear result =
        quantize(weight, hessian, {.damping = damping, .act_order = true}, {4, 64});
    const double nearest =
        output_error(weight, hessian, round_to_nearest(cpu_.ctx, weight, {.format = {4, 64}}));
    EXPECT_LT(output_error(weight, hessian, result), 0.5 * nearest);
  }
}

TEST_F(Gptq, InputsThatAreAlwaysZeroAreRoundedToNearest) {
  const Tensor weight = random_matrix(4, 64, 12), none = random_matrix(64, 64, 13);
  std::fill_n(none.view().as<float>(), 64 * 64, 0.0F);
  const QuantizedLinear nearest = round_to_nearest(cpu_.ctx, weight, {.format = {4, 32}});
  expect_same_codes(quantize(weight, none, {}, {4, 32}), nearest);

  const View& hessian = make_hessian(64, 200);
  for (std::int64_t i = 0; i < 64; i++) hessian.row<float>(5)[i] = hessian.row<float>(i)[5] = 0;
  const QuantizedLinear result = quantize(weight, hessian, {}, {4, 32});
  for (std::int64_t row = 0; row < 4; row++)
    EXPECT_EQ(result.q.view().row<std::uint8_t>(row)[5], nearest.q.view().row<std::uint8_t>(row)[5]);
}

TEST_F(Gptq, RefusesInputsThatAreNotFinite) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    const View& hessian = make_hessian(8, 30);
    hessian.row<float>(3)[3] = bad;
    EXPECT_THROW(make_error_feedback(cpu_.ctx, hessian, {}), Error);
  }
}

}  // namespace
}  // namespace lmdeploy::testing
