#include "quantize/calibration_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/model_session.h"
#include "ops/ops.h"
#include "quantize/matrices.h"

namespace lmdeploy::testing {
namespace {

TEST(CalibrationStatistics, AreThoseOfAllRows) {
  Cpu cpu;
  for (const std::int64_t k : {1, 255, 256, 257, 600}) {
    const Tensor x = random_matrix(50, k, static_cast<unsigned>(k), 6);
    CalibrationStatistics statistics(cpu.ctx, k);
    statistics.add(x.view().rows(0, 17));
    statistics.add(x.view().rows(17, 33));
    EXPECT_EQ(statistics.num_rows(), 50);
    const std::vector<float> mean = statistics.abs_mean();
    for (std::int64_t c = 0; c < k; c++) {
      double sum = 0;
      float peak = 0;
      for (std::int64_t i = 0; i < 50; i++) {
        sum += std::fabs(x.view().row<float>(i)[c]);
        peak = std::max(peak, std::fabs(x.view().row<float>(i)[c]));
      }
      const auto channel = static_cast<std::size_t>(c);
      ASSERT_EQ(statistics.abs_max()[channel], peak);
      ASSERT_NEAR(mean[channel], sum / 50, 1e-5 * sum / 50);
    }
  }
}

TEST(CalibrationStatistics, ReadEveryFloatType) {
  Cpu cpu;
  const Tensor x = matrix_of(2, 2, {1, -2, -4, 0.5});
  for (const DType dtype : {DType::bf16, DType::f16}) {
    Tensor narrow(host_allocator(), dtype, x.shape());
    ops::cast(cpu.ctx, x, narrow);
    CalibrationStatistics statistics(cpu.ctx, 2);
    statistics.add(narrow);
    EXPECT_EQ(statistics.abs_max(), (std::vector<float>{4, 2}));
    EXPECT_EQ(statistics.abs_mean(), (std::vector<float>{2.5, 1.25}));
  }
}

TEST(CalibrationStatistics, CountWhatIsDeadOrNotANumber) {
  Cpu cpu;
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const Tensor x = matrix_of(3, 3, {0, nan, 1, 0, inf, -3, 0, -7, nan});
  CalibrationStatistics statistics(cpu.ctx, 3);
  statistics.add(x);
  EXPECT_EQ(statistics.num_zero_channels(), 1);
  EXPECT_EQ(statistics.num_not_finite(), 3);
  EXPECT_EQ(statistics.abs_max(), (std::vector<float>{0, 7, 3}));
}

}  // namespace
}  // namespace lmdeploy::testing
