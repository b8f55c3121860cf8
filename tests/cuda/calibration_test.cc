// What calibration computes on a card: matmul, transpose, subtract, multiply_columns, add_channel_statistics,
// row_squares.
#include "ops/ref/calibration.h"

#include <array>

#include "cuda/cuda_fixture.h"

namespace lmdeploy::ops {
namespace {

class CudaCalibrationTest : public CudaOpsTest {
 protected:
  std::int64_t draw(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(most - least + 1));
  }
  std::string shape_name(const char* op, DType dtype, std::int64_t m, std::int64_t k) {
    return fmt::format("{} {} [{}, {}]", op, dtype_name(dtype), m, k);
  }
};

// y is in the middle of wider rows: written where it shall be, and added to.
TEST_F(CudaCalibrationTest, MatmulIsTheReferences) {
  std::vector<std::array<std::int64_t, 3>> shapes{
      {1, 1, 1}, {1, 128, 64}, {3, 65, 7}, {70, 5, 130}, {33, 129, 64}, {128, 128, 512}, {257, 96, 1000}};
  for (int i = 0; i < 20; i++) shapes.push_back({draw(1, 300), draw(1, 300), draw(1, 600)});
  for (const DType dtype : kFloatTypes)
    for (const auto& [m, n, k] : shapes) {
      const std::string what = shape_name("matmul", dtype, m, k) + fmt::format(" to {} outputs", n);
      const Tensor a = random(dtype, m, k), b = random(dtype, n, k);
      ref::Matrix expected = ref::linear(matrix(a), matrix(b), {});
      const std::int64_t lead = draw(0, 1) * 8 + draw(0, 1);
      const Slice device_a = slice_of(a, draw(0, 9)), device_b = slice_of(b, draw(0, 9)),
                  y = slice(DType::f32, m, n, lead);
      matmul(ctx, device_a.view, device_b.view, y.view);
      expect_result(y, expected, Tolerance::kernel(), what);
      matmul(ctx, device_a.view, device_b.view, y.view, true);
      for (double& value : expected.values) value *= 2;
      expect_result(y, expected, Tolerance::kernel(), what + ", added");
    }
}

TEST_F(CudaCalibrationTest, TransposeMovesEveryElement) {
  std::vector<std::array<std::int64_t, 2>> shapes{{1, 1},   {31, 33},  {32, 32},
                                                  {33, 31}, {65, 100}, {2048, 70}};
  for (int i = 0; i < 10; i++) shapes.push_back({draw(1, 200), draw(1, 200)});
  for (const DType dtype : kFloatTypes)
    for (const auto& [m, k] : shapes) {
      const Tensor x = random(dtype, m, k);
      const Slice device_x = slice_of(x, draw(0, 9)), y = slice(dtype, k, m, draw(0, 9));
      transpose(ctx, device_x.view, y.view);
      expect_result(y, ref::transpose(matrix(x)), 0, shape_name("transpose", dtype, m, k));
    }
}

TEST_F(CudaCalibrationTest, SubtractRoundsToTheDtype) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k :
         {std::int64_t{1}, std::int64_t{255}, std::int64_t{256}, std::int64_t{257}, draw(1, 3000)}) {
      const Tensor a = random(dtype, 7, k), b = random(dtype, 7, k);
      const Slice device_a = slice_of(a, 3), device_b = slice_of(b, 0), y = slice(dtype, 7, k, 1);
      const ref::Matrix expected = ref::subtract(matrix(a), matrix(b));
      const double tolerance = dtype == DType::f32 ? 1e-7 : Tolerance::result(dtype);
      subtract(ctx, device_a.view, device_b.view, y.view);
      expect_result(y, expected, tolerance, shape_name("subtract", dtype, 7, k));
      subtract(ctx, device_a.view, device_b.view, device_a.view);
      expect_result(device_a, expected, tolerance, shape_name("subtract in place", dtype, 7, k));
    }
}

TEST_F(CudaCalibrationTest, MultiplyColumnsIsTheReferences) {
  for (const std::int64_t k : {std::int64_t{1}, std::int64_t{256}, std::int64_t{257}, draw(1, 3000)}) {
    const Tensor x = random(DType::f32, 9, k), factors = random(DType::f32, 1, k);
    const Tensor device_factors = upload(factors);
    const View by(device_factors.view().data, DType::f32, {k});
    const ref::Matrix expected = ref::multiply_columns(matrix(x), matrix(factors).values);
    const Slice device_x = slice_of(x, 3), y = slice(DType::f32, 9, k, 1);
    multiply_columns(ctx, device_x.view, by, y.view);
    expect_result(y, expected, 1e-7, "columns");
    multiply_columns(ctx, device_x.view, by, device_x.view);
    expect_result(device_x, expected, 1e-7, "columns in place");
  }
}

TEST_F(CudaCalibrationTest, ChannelStatisticsAddUp) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k :
         {std::int64_t{1}, std::int64_t{255}, std::int64_t{256}, std::int64_t{257}, draw(1, 3000)}) {
      const Tensor x = random(dtype, 170, k, 3);
      set(x, 2 * k, std::nanf(""));
      set(x, 60 * k, -std::numeric_limits<float>::infinity());
      const Slice device_x = slice_of(x, draw(0, 9));
      const Tensor sums = upload(zeros(DType::f32, 3, k)), counts(cuda::device_allocator(), DType::i32, {k});
      CUDA_CHECK(cudaMemsetAsync(counts.view().data, 0, static_cast<std::size_t>(counts.view().bytes()),
                                 stream_handle()));
      const ChannelStatistics statistics{{sums.view().data, DType::f32, {k}}, sums.view().rows(1, 2), counts};
      // Pieces that are and are not whole chunks of tokens.
      for (const auto [first, count] :
           {std::array<std::int64_t, 2>{0, 1}, {1, 64}, {65, 31}, {96, 33}, {129, 41}})
        add_channel_statistics(ctx, device_x.view.rows(first, count), statistics);
      const Tensor host_sums = download(sums);
      Tensor host_counts(host_allocator(), DType::i32, {k});
      copy_to_host(ctx, counts, host_counts);
      const auto expected = ref::channel_statistics(matrix(x));
      for (std::int64_t c = 0; c < k; c++) {
        const ref::ChannelStatistics& channel = expected[static_cast<std::size_t>(c)];
        ASSERT_EQ(static_cast<double>(get(host_sums, c)), channel.abs_max) << c;
        ASSERT_NEAR(
            static_cast<double>(get(host_sums, k + c)) + static_cast<double>(get(host_sums, 2 * k + c)),
            channel.abs_sum, 1e-5 * channel.abs_sum)
            << c;
        ASSERT_EQ(host_counts.view().as<std::int32_t>()[c], channel.not_finite) << c;
      }
    }
}

// A sum in f32 alone would stand still: 2^24 + 1 = 2^24.
TEST_F(CudaCalibrationTest, ChannelSumsKeepWhatRoundingLeavesOut) {
  const Tensor sums = upload(zeros(DType::f32, 3, 1)), counts = upload(zeros(DType::f32, 1, 1));
  const ChannelStatistics statistics{
      {sums.view().data, DType::f32, {1}}, sums.view().rows(1, 2), {counts.view().data, DType::i32, {1}}};
  const Tensor x = zeros(DType::f32, 1, 1);
  set(x, 0, 16777216);
  const Tensor large = upload(x);
  set(x, 0, 1);
  const Tensor one = upload(x);
  add_channel_statistics(ctx, large, statistics);
  for (int i = 0; i < 100; i++) add_channel_statistics(ctx, one, statistics);
  const Tensor host = download(sums);
  EXPECT_EQ(static_cast<double>(get(host, 1)) + static_cast<double>(get(host, 2)), 16777316.0);
}

TEST_F(CudaCalibrationTest, RowSquaresAreInDouble) {
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{255}, std::int64_t{257}, draw(1, 5000)}) {
    const Tensor x = random(DType::f32, 20, n, 100);
    const Slice device_x = slice_of(x, 3);
    std::vector<double> sums(20, -1);
    row_squares(ctx, device_x.view, sums);
    const std::vector<double> expected = ref::row_squares(matrix(x));
    for (std::size_t i = 0; i < sums.size(); i++) EXPECT_NEAR(sums[i], expected[i], 1e-12 * expected[i]) << n;
  }
}

}  // namespace
}  // namespace lmdeploy::ops
