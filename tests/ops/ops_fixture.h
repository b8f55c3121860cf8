#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "ops/ops.h"
#include "ops/ref/reference.h"

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

// A CPU with a fixed number of threads and one instruction set; skipped where the machine lacks it.
class OpsTest : public testing::TestWithParam<CpuIsa> {
 protected:
  void SetUp() override {
    if (GetParam() > best_cpu_isa()) GTEST_SKIP() << "this machine has no " << cpu_isa_name(GetParam());
    ctx.cpu_isa = GetParam();
    ctx.pool = &pool;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace;
  }

  // Normal values, rounded to dtype. gap: elements between rows that nobody may touch; they hold NaN.
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
    const double rms_of_all = root_mean_square(expected.values.begin(), expected.values.end());
    const ref::Matrix values = matrix(actual);
    ASSERT_EQ(values.values.size(), expected.values.size()) << what;
    for (std::int64_t r = 0; r < expected.num_rows; r++) {
      const auto row = expected.values.begin() + r * expected.num_columns;
      const double rms = std::max(rms_of_all, root_mean_square(row, row + expected.num_columns));
      for (std::int64_t c = 0; c < expected.num_columns; c++)
        ASSERT_LE(std::abs(values.at(r, c) - expected.at(r, c)),
                  tolerance * (std::abs(expected.at(r, c)) + rms) + 1e-30)
            << what << " at [" << r << ", " << c << "]: " << values.at(r, c) << ", expected "
            << expected.at(r, c);
    }
  }
  template <class Iterator>
  static double root_mean_square(Iterator begin, Iterator end) {
    const double sum = std::accumulate(begin, end, 0.0, [](double s, double x) { return s + x * x; });
    return std::sqrt(sum / static_cast<double>(end - begin));
  }

  // linear() of x [m, k] against `product`, x W^T: with a bias or without, adding or not, at random, and into
  // the middle of a wider y, whose borders it must leave alone.
  void check_linear(const View& x, const PackedMatrix& w, ref::Matrix product, const std::string& what) {
    const std::int64_t m = x.dim(0), n = w.n;
    const Tensor y = random(DType::f32, m, n + 5), bias = random(DType::f32, 1, n);
    const ref::Matrix before = matrix(y), biases = matrix(bias);
    LinearOptions options;
    if (rng() % 2 == 0) options.bias = View(bias.view().data, DType::f32, {n});
    options.accumulate = rng() % 2 == 0;
    for (std::int64_t r = 0; r < m; r++)
      for (std::int64_t c = 0; c < n; c++)
        product.at(r, c) +=
            (options.bias.empty() ? 0 : biases.at(0, c)) + (options.accumulate ? before.at(r, c + 2) : 0);
    const View y_view = y.view().columns(2, n);

    linear(ctx, x, w, y_view, options);

    expect_close(y_view, product, Tolerance::kernel(), what);
    const ref::Matrix after = matrix(y);
    for (std::int64_t r = 0; r < m; r++)
      for (const std::int64_t c : {std::int64_t{0}, std::int64_t{1}, n + 2, n + 4})
        ASSERT_EQ(after.at(r, c), before.at(r, c)) << what << ": wrote outside y";
  }

  std::mt19937 rng{20260801};
  ThreadPool pool{3};
  Workspace workspace{host_allocator()};
  Ctx ctx;
};

inline std::string isa_test_name(const testing::TestParamInfo<CpuIsa>& info) {
  constexpr const char* kNames[] = {"generic", "avx2", "avx512_bf16", "amx_bf16"};
  return kNames[static_cast<int>(info.param)];
}

#define INSTANTIATE_FOR_ISAS(suite)                                                                      \
  INSTANTIATE_TEST_SUITE_P(                                                                              \
      Isa, suite, testing::Values(CpuIsa::generic, CpuIsa::avx2, CpuIsa::avx512_bf16, CpuIsa::amx_bf16), \
      isa_test_name)

}  // namespace lmdeploy::ops
