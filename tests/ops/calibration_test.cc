// What calibration computes: matmul, transpose, subtract, multiply_columns, add_channel_statistics,
// row_squares.
#include "ops/ref/calibration.h"

#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

class CalibrationOpsTest : public OpsTest {
 protected:
  // A slice of wider rows, which begins at an odd column.
  static View inside(const Tensor& wide) { return wide.view().columns(3, wide.shape()[1] - 5); }
};

TEST_P(CalibrationOpsTest, MatmulIsTheReferences) {
  for (const DType dtype : kFloatTypes)
    for (const auto [m, n, k] :
         {std::array<std::int64_t, 3>{1, 1, 1}, {3, 65, 7}, {70, 5, 130}, {33, 129, 64}}) {
      const Tensor a = random(dtype, m, k + 5), b = random(dtype, n, k + 5);
      const Tensor y = random(DType::f32, m, n + 5);
      ref::Matrix expected = ref::linear(matrix(inside(a)), matrix(inside(b)), {});
      matmul(ctx, inside(a), inside(b), inside(y));
      expect_close(inside(y), expected, Tolerance::kernel(), "matmul");
      matmul(ctx, inside(a), inside(b), inside(y), true);
      for (double& value : expected.values) value *= 2;
      expect_close(inside(y), expected, Tolerance::kernel(), "accumulated");
    }
}

TEST_P(CalibrationOpsTest, TransposeMovesEveryElement) {
  for (const DType dtype : kFloatTypes)
    for (const auto [m, k] : {std::array<std::int64_t, 2>{1, 1}, {31, 33}, {32, 64}, {65, 100}}) {
      const Tensor x = random(dtype, m, k + 5), y = random(dtype, k, m + 5);
      transpose(ctx, inside(x), inside(y));
      expect_close(inside(y), ref::transpose(matrix(inside(x))), 0, "transpose");
    }
}

TEST_P(CalibrationOpsTest, SubtractRoundsToTheDtype) {
  for (const DType dtype : kFloatTypes) {
    const Tensor a = random(dtype, 7, 105), b = random(dtype, 7, 105), y = random(dtype, 7, 105);
    const ref::Matrix expected = ref::subtract(matrix(inside(a)), matrix(inside(b)));
    subtract(ctx, inside(a), inside(b), inside(y));
    expect_close(inside(y), expected, dtype == DType::f32 ? 1e-7 : Tolerance::result(dtype), "subtract");
    subtract(ctx, inside(a), inside(b), inside(a));
    expect_close(inside(a), matrix(inside(y)), 0, "in place");
  }
}

TEST_P(CalibrationOpsTest, MultiplyColumnsIsTheReferences) {
  const Tensor x = random(DType::f32, 9, 77), factors = random(DType::f32, 1, 72),
               y = random(DType::f32, 9, 77);
  const View by(factors.view().data, DType::f32, {72});
  multiply_columns(ctx, inside(x), by, inside(y));
  expect_close(inside(y), ref::multiply_columns(matrix(inside(x)), matrix(factors).values), 1e-7, "columns");
  multiply_columns(ctx, inside(x), by, inside(x));
  expect_close(inside(x), matrix(inside(y)), 0, "in place");
}

TEST_P(CalibrationOpsTest, ChannelStatisticsAddUp) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : {1, 255, 256, 257}) {
      const Tensor x = random(dtype, 70, k + 5, 3);
      set(x, 3 + 2 * (k + 5), std::nanf(""));  // row 2, the first channel
      set(x, 3 + 60 * (k + 5), -std::numeric_limits<float>::infinity());
      const Tensor sums = zeros(DType::f32, 3, k), counts(host_allocator(), DType::i32, {k});
      std::memset(counts.view().data, 0, static_cast<std::size_t>(counts.view().bytes()));
      const ChannelStatistics statistics{
          {sums.view().row<float>(0), DType::f32, {k}}, sums.view().rows(1, 2), counts};
      for (const auto [first, count] : {std::array<std::int64_t, 2>{0, 1}, {1, 64}, {65, 5}})
        add_channel_statistics(ctx, inside(x).rows(first, count), statistics);
      const auto expected = ref::channel_statistics(matrix(inside(x)));
      for (std::int64_t c = 0; c < k; c++) {
        const ref::ChannelStatistics& channel = expected[static_cast<std::size_t>(c)];
        ASSERT_EQ(static_cast<double>(get(sums, c)), channel.abs_max) << c;
        ASSERT_NEAR(static_cast<double>(get(sums, k + c)) + static_cast<double>(get(sums, 2 * k + c)),
                    channel.abs_sum, 1e-5 * channel.abs_sum)
            << c;
        ASSERT_EQ(counts.view().as<std::int32_t>()[c], channel.not_finite) << c;
      }
    }
}

// A sum in f32 alone would stand still: 2^24 + 1 = 2^24.
TEST_P(CalibrationOpsTest, ChannelSumsKeepWhatRoundingLeavesOut) {
  const Tensor sums = zeros(DType::f32, 3, 1), x = zeros(DType::f32, 1, 1),
               counts(host_allocator(), DType::i32, {1});
  counts.view().as<std::int32_t>()[0] = 0;
  const ChannelStatistics statistics{{sums.view().data, DType::f32, {1}}, sums.view().rows(1, 2), counts};
  set(x, 0, 16777216);
  add_channel_statistics(ctx, x, statistics);
  set(x, 0, 1);
  for (int i = 0; i < 100; i++) add_channel_statistics(ctx, x, statistics);
  EXPECT_EQ(static_cast<double>(get(sums, 1)) + static_cast<double>(get(sums, 2)), 16777316.0);
}

TEST_P(CalibrationOpsTest, RowSquaresAreInDouble) {
  const Tensor x = random(DType::f32, 20, 1005, 100);
  std::vector<double> sums(20, -1);
  row_squares(ctx, inside(x), sums);
  const std::vector<double> expected = ref::row_squares(matrix(inside(x)));
  for (std::size_t i = 0; i < sums.size(); i++) EXPECT_NEAR(sums[i], expected[i], 1e-12 * expected[i]);
}

INSTANTIATE_FOR_ISAS(CalibrationOpsTest);

}  // namespace
}  // namespace lmdeploy::ops
