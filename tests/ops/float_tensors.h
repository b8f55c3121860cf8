#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "ops/ref/reference.h"
#include "tensor/tensor.h"

namespace lmdeploy::ops {

inline constexpr DType kFloatTypes[] = {DType::f32, DType::bf16, DType::f16};

// The one tolerance table: the error that an element may have, relative to its own size plus the root mean
// square of all elements or of its row, whichever is larger. kernel: what accumulating in f32 costs; result:
// rounding to the dtype of the output.
struct Tolerance {
  static double kernel() { return 1e-5; }
  static double result(DType dtype) {
    return dtype == DType::bf16 ? 0.0041 : dtype == DType::f16 ? 0.00051 : 0;
  }
  // Queries and weights are rounded to the cache's dtype where the instruction set multiplies bf16.
  static double attention(DType cache) { return cache == DType::bf16 ? 0.02 : 2e-5; }
  // Codes of 0..255 around a middle: sums of larger numbers than the result.
  static double quantized_attention(DType cache) { return 2 * attention(cache); }
};

// Tensors of floats in host memory and their comparison with a reference: what the tests of every device's
// ops begin and end with.
class FloatTensors {
 protected:
  // Normal values, rounded to dtype.
  Tensor random(DType dtype, std::int64_t rows, std::int64_t columns, double deviation = 1) {
    Tensor tensor(host_allocator(), dtype, {rows, columns});
    std::normal_distribution<double> normal(0, deviation);
    for (std::int64_t i = 0; i < rows * columns; i++) set(tensor, i, static_cast<float>(normal(rng)));
    return tensor;
  }
  static Tensor zeros(DType dtype, std::int64_t rows, std::int64_t columns) {
    Tensor tensor(host_allocator(), dtype, {rows, columns});
    std::memset(tensor.view().data, 0, static_cast<std::size_t>(tensor.view().bytes()));
    return tensor;
  }

  static void set(const View& view, std::int64_t i, float value) {
    if (view.dtype == DType::f32) static_cast<float*>(view.data)[i] = value;
    if (view.dtype == DType::bf16) static_cast<bf16_t*>(view.data)[i] = from_float<bf16_t>(value);
    if (view.dtype == DType::f16) static_cast<f16_t*>(view.data)[i] = from_float<f16_t>(value);
  }
  static float get(const View& view, std::int64_t i) {
    if (view.dtype == DType::bf16) return to_float(static_cast<const bf16_t*>(view.data)[i]);
    if (view.dtype == DType::f16) return to_float(static_cast<const f16_t*>(view.data)[i]);
    return static_cast<const float*>(view.data)[i];
  }
  // What conversions have to get right, and random bits: 4,096 floats, none of them NaN.
  std::vector<float> floats_of_all_kinds() {
    std::vector<float> specials = {0.0F,
                                   -0.0F,
                                   1e-8F,
                                   -6e-8F,
                                   5.96e-8F,
                                   6.1e-5F,
                                   65504,
                                   65519.9F,
                                   65520,
                                   -1e30F,
                                   std::numeric_limits<float>::infinity(),
                                   1e-40F,
                                   0.333333F,
                                   1.00390625F};
    while (specials.size() < 4096) {
      const std::uint32_t bits = rng();
      float value;
      std::memcpy(&value, &bits, sizeof value);
      if (!std::isnan(value)) specials.push_back(value);
    }
    return specials;
  }

  // Rank 2, or 3 with the last two together.
  static ref::Matrix matrix(const View& view) {
    ref::Matrix result(view.dim(0), view.shape.num_elements() / view.dim(0));
    for (std::int64_t r = 0; r < result.num_rows; r++)
      for (std::int64_t c = 0; c < result.num_columns; c++)
        result.at(r, c) = static_cast<double>(get(view, r * view.row_stride + c));
    return result;
  }

  static void expect_close(const View& actual, const ref::Matrix& expected, double tolerance,
                           const std::string& what) {
    const double least = actual.dtype == DType::f16 ? 0x1p-25 : 1e-30;  // half of the smallest number
    const double rms_of_all = root_mean_square(expected.values.begin(), expected.values.end());
    const ref::Matrix values = matrix(actual);
    ASSERT_EQ(values.values.size(), expected.values.size()) << what;
    for (std::int64_t r = 0; r < expected.num_rows; r++) {
      const auto row = expected.values.begin() + r * expected.num_columns;
      const double rms = std::max(rms_of_all, root_mean_square(row, row + expected.num_columns));
      for (std::int64_t c = 0; c < expected.num_columns; c++)
        ASSERT_LE(std::abs(values.at(r, c) - expected.at(r, c)),
                  tolerance * (std::abs(expected.at(r, c)) + rms) + least)
            << what << " at [" << r << ", " << c << "]: " << values.at(r, c) << ", expected "
            << expected.at(r, c);
    }
  }
  template <class Iterator>
  static double root_mean_square(Iterator begin, Iterator end) {
    const double sum = std::accumulate(begin, end, 0.0, [](double s, double x) { return s + x * x; });
    return std::sqrt(sum / static_cast<double>(end - begin));
  }

  std::mt19937 rng{20260801};
};

}  // namespace lmdeploy::ops
