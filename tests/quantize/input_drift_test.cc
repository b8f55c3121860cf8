#include "quantize/input_drift.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/model_session.h"
#include "quantize/gram.h"
#include "quantize/matrices.h"
#include "quantize/round_to_nearest.h"

namespace lmdeploy::testing {
namespace {

// |exact old^T - x new^T|^2, in double.
double output_error(const View& exact, const View& old_weight, const View& x, const View& new_weight) {
  double error = 0;
  for (std::int64_t token = 0; token < x.dim(0); token++)
    for (std::int64_t row = 0; row < old_weight.dim(0); row++) {
      double difference = 0;
      for (std::int64_t i = 0; i < x.dim(1); i++)
        difference += static_cast<double>(exact.row<float>(token)[i]) * old_weight.row<float>(row)[i] -
                      static_cast<double>(x.row<float>(token)[i]) * new_weight.row<float>(row)[i];
      error += difference * difference;
    }
  return error;
}

class InputDriftTest : public ::testing::Test {
 protected:
  // Inputs, and the same with a part of each moved to another: what a linear map can undo, and some noise.
  void make_inputs(std::int64_t m, std::int64_t k, float noise) {
    exact_ = random_matrix(m, k, 1, 2);
    x_ = random_matrix(m, k, 2);
    for (std::int64_t row = 0; row < m; row++) {
      const float* exact = exact_.view().row<float>(row);
      float* x = x_.view().row<float>(row);
      for (std::int64_t i = 0; i < k; i++) x[i] = noise * x[i] + exact[i] + 0.2F * exact[(i + 1) % k];
    }
  }

  Tensor corrected(const View& weight, const FeedbackOptions& options, float share) {
    const std::int64_t k = weight.dim(1);
    Gram gram(cpu_.ctx, k);
    gram.add(x_);
    InputDrift drift(cpu_.ctx, k);
    drift.add(exact_, x_);
    Tensor result = random_matrix(weight.dim(0), k, 3);
    std::copy_n(weight.as<float>(), weight.shape.num_elements(), result.view().as<float>());
    correct_drift(cpu_.ctx, result, drift.matrix(), make_error_feedback(cpu_.ctx, gram.matrix(), options),
                  share);
    return result;
  }

  Cpu cpu_;
  Tensor exact_, x_;
};

TEST_F(InputDriftTest, SumsWhatInputsHaveLost) {
  make_inputs(1030, 5, 0.5F);
  InputDrift drift(cpu_.ctx, 5);
  drift.add(exact_.view().rows(0, 1), x_.view().rows(0, 1));
  drift.add(exact_.view().rows(1, 1029), x_.view().rows(1, 1029));
  for (std::int64_t a = 0; a < 5; a++)
    for (std::int64_t b = 0; b < 5; b++) {
      double sum = 0, size = 0;
      for (std::int64_t row = 0; row < 1030; row++) {
        const float* x = x_.view().row<float>(row);
        const double product = static_cast<double>(x[a]) * (exact_.view().row<float>(row)[b] - x[b]);
        sum += product;
        size += std::abs(product);
      }
      EXPECT_NEAR(drift.matrix().row<float>(a)[b], sum, 1e-5 * size);
    }
  EXPECT_THROW(drift.add(exact_.view().rows(0, 2), x_.view().rows(0, 1)), CheckFailure);
}

// The least-squares weight undoes a linear drift.
TEST_F(InputDriftTest, UndoesWhatALinearMapCan) {
  for (const std::int64_t k : {1, 7, 128, 129, 300})
    for (const bool act_order : {false, true}) {
      make_inputs(2 * k + 10, k, 0);
      const Tensor weight = random_matrix(3, k, 4);
      const Tensor result = corrected(weight, {.damping = 1e-6, .act_order = act_order}, 1);
      EXPECT_LT(output_error(exact_, weight, x_, result), 1e-4 * output_error(exact_, weight, x_, weight))
          << k;
    }
}

// No small step in any direction is better, which only the least-squares weight can say.
TEST_F(InputDriftTest, IsTheLeastSquaresWeight) {
  make_inputs(400, 40, 0.3F);
  const Tensor weight = random_matrix(1, 40, 5),
               result = corrected(weight, {.damping = 1e-7, .act_order = true}, 1);
  const double least = output_error(exact_, weight, x_, result);
  EXPECT_LT(least, 0.7 * output_error(exact_, weight, x_, weight));
  for (std::int64_t i = 0; i < 40; i++)
    for (const float step : {-0.01F, 0.01F}) {
      result.view().row<float>(0)[i] += step;
      EXPECT_GT(output_error(exact_, weight, x_, result), least) << i;
      result.view().row<float>(0)[i] -= step;
    }
}

TEST_F(InputDriftTest, AShareOfItGoesAShareOfTheWay) {
  make_inputs(1500, 30, 0.2F);
  const Tensor weight = random_matrix(1100, 30, 6);
  const Tensor whole = corrected(weight, {}, 1), half = corrected(weight, {}, 0.5F);
  for (std::int64_t i = 0; i < 1100 * 30; i++) {
    const float from = weight.view().as<float>()[i], to = whole.view().as<float>()[i];
    ASSERT_NEAR(half.view().as<float>()[i], (from + to) / 2, 1e-5F * (1 + std::abs(from)));
  }
}

// On tokens that calibration has not seen, and after rounding: what it is for.
TEST_F(InputDriftTest, WhatIsRoundedErrsLessOnHeldTokens) {
  constexpr std::int64_t kTokens = 600, kInputs = 64;
  make_inputs(2 * kTokens, kInputs, 0.1F);
  const View exact = exact_.view(), x = x_.view();
  Gram gram(cpu_.ctx, kInputs);
  gram.add(x.rows(0, kTokens));
  InputDrift drift(cpu_.ctx, kInputs);
  drift.add(exact.rows(0, kTokens), x.rows(0, kTokens));
  const ErrorFeedback feedback = make_error_feedback(cpu_.ctx, gram.matrix(), {});
  const auto held_error = [&](float share) {
    const Tensor weight = random_matrix(16, kInputs, 9), target = random_matrix(16, kInputs, 9);
    correct_drift(cpu_.ctx, target, drift.matrix(), feedback, share);
    QuantizedLinear rounded = round_to_nearest(cpu_.ctx, target, {{4, 32}});
    round_with_feedback(cpu_.ctx, target, feedback, rounded);
    dequantize(cpu_.ctx, rounded, target);
    return output_error(exact.rows(kTokens, kTokens), weight, x.rows(kTokens, kTokens), target);
  };
  EXPECT_LT(held_error(0.5F), 0.7 * held_error(0));
}

TEST_F(InputDriftTest, WithoutDriftNothingChanges) {
  make_inputs(50, 20, 0.5F);
  exact_ = random_matrix(50, 20, 7);
  std::copy_n(x_.view().as<float>(), 50 * 20, exact_.view().as<float>());
  const Tensor weight = random_matrix(4, 20, 8), result = corrected(weight, {}, 1);
  for (std::int64_t i = 0; i < 80; i++) EXPECT_EQ(result.view().as<float>()[i], weight.view().as<float>()[i]);
}

}  // namespace
}  // namespace lmdeploy::testing
