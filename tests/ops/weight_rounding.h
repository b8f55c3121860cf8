#pragma once
#include <algorithm>

#include "ops/float_tensors.h"
#include "ops/ops.h"
#include "ops/ref/weight_rounding.h"

namespace lmdeploy::ops {

// Options, their twin for the reference, and what both devices' tests ask of the results.
inline RoundingOptions rounding_options(std::int64_t group_size, std::int32_t bits, bool symmetric,
                                        DType scale_dtype, std::int32_t min_zero) {
  return {{bits, group_size}, symmetric, scale_dtype, min_zero};
}

inline ref::GridRule rule_of(const RoundingOptions& options) {
  return {options.format.bits, options.symmetric, static_cast<double>(options.min_zero),
          [dtype = options.scale_dtype](double scale) {
            return static_cast<double>(round_to_dtype(static_cast<float>(scale), dtype));
          }};
}

// Every kind of grid.
inline std::vector<RoundingOptions> all_rounding_options(std::int64_t group_size) {
  return {rounding_options(group_size, 4, false, DType::f16, 0),
          rounding_options(group_size, 4, false, DType::f16, 1),
          rounding_options(group_size, 4, true, DType::bf16, 0),
          rounding_options(group_size, 8, false, DType::f32, 0)};
}

class WeightRoundingChecks : protected FloatTensors {
 protected:
  // Weights with a group of zeros and one that lies on one side of 0.
  Tensor make_weights(std::int64_t n, std::int64_t k, std::int64_t group_size) {
    Tensor w = random(DType::f32, n, k);
    for (std::int64_t i = 0; i < group_size; i++) {
      set(w, i, 0);
      set(w, (n - 1) * k + i, std::abs(get(w, (n - 1) * k + i)));
    }
    return w;
  }

  // A weight between two points of its grid may fall to the other one: few do.
  static void expect_rounding_errors(const View& actual, const View& w, const View& scales,
                                     const RoundingOptions& options) {
    const std::int64_t n = w.dim(0), k = w.dim(1), group_size = options.format.group_size;
    const ref::GridRule rule = rule_of(options);
    std::int64_t num_wrong = 0;
    for (std::int64_t row = 0; row < n; row++)
      for (std::int64_t first = 0; first < k; first += group_size) {
        std::vector<double> scaled;
        for (std::int64_t i = first; i < first + group_size; i++)
          scaled.push_back(static_cast<double>(get(w, row * k + i) * get(scales, i)));
        const std::vector<double> rounded = ref::rounded_group(scaled, 1, rule);
        for (std::int64_t i = first; i < first + group_size; i++) {
          const double weight = static_cast<double>(get(w, row * k + i)),
                       expected = rounded[static_cast<std::size_t>(i - first)] /
                                      static_cast<double>(get(scales, i)) -
                                  weight,
                       found = static_cast<double>(get(actual, row * actual.row_stride + i));
          const double tolerance =
              Tolerance::result(actual.dtype) * std::abs(expected) + 1e-6 * (1 + std::abs(weight));
          if (!(std::abs(found - expected) <= tolerance)) num_wrong++;
        }
      }
    EXPECT_LE(num_wrong, n * k / 1000);
  }

  // The choice errs as little as the best one, within what f32 can tell.
  static void expect_choices(const View& choices, const View& w, const View& grams,
                             const RoundingOptions& options) {
    const std::int64_t k = w.dim(1), group_size = options.format.group_size;
    const ref::GridRule rule = rule_of(options);
    for (std::int64_t row = 0; row < w.dim(0); row++)
      for (std::int64_t group = 0; group < k / group_size; group++) {
        std::vector<double> weights, gram, errors;
        for (std::int64_t i = group * group_size; i < (group + 1) * group_size; i++) {
          weights.push_back(static_cast<double>(get(w, row * k + i)));
          for (std::int64_t j = 0; j < group_size; j++)
            gram.push_back(static_cast<double>(get(grams, i * group_size + j)));
        }
        for (int clip = 0; clip < kNumClips; clip++)
          errors.push_back(ref::clipping_error(weights, static_cast<double>(clip_share(clip)), gram, rule));
        const int choice = choices.row<std::uint8_t>(row)[group];
        ASSERT_LT(choice, kNumClips);
        ASSERT_LE(errors[static_cast<std::size_t>(choice)],
                  1.005 * *std::min_element(errors.begin(), errors.end()) + 1e-9)
            << "row " << row << ", group " << group;
      }
  }

  // x^T x by groups, of inputs that depend on each other.
  Tensor make_grams(std::int64_t k, std::int64_t group_size) {
    constexpr std::int64_t kTokens = 50;
    const Tensor x = random(DType::f32, kTokens, k);
    for (std::int64_t token = 0; token < kTokens; token++)
      for (std::int64_t i = 1; i < k; i++)
        set(x, token * k + i, get(x, token * k + i) + 0.5F * get(x, token * k + i - 1));
    Tensor grams = zeros(DType::f32, k, group_size);
    for (std::int64_t i = 0; i < k; i++)
      for (std::int64_t j = 0; j < group_size; j++) {
        double sum = 0;
        for (std::int64_t token = 0; token < kTokens; token++)
          sum += static_cast<double>(get(x, token * k + i)) *
                 static_cast<double>(get(x, token * k + i / group_size * group_size + j));
        set(grams, i * group_size + j, static_cast<float>(sum));
      }
    return grams;
  }
};

}  // namespace lmdeploy::ops
