#include "quantize/calibration_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace lmdeploy {
namespace {

// One task: their sums stay in the first-level cache while the rows pass.
constexpr std::int64_t kChannelsPerTask = 256;

}  // namespace

CalibrationStatistics::CalibrationStatistics(std::int64_t num_channels)
    : abs_max_(static_cast<std::size_t>(num_channels)),
      abs_sum_(abs_max_.size()),
      not_finite_(abs_max_.size()) {}

template <class T>
void CalibrationStatistics::add_channels(const View& x, std::int64_t begin, std::int64_t end) {
  std::array<float, kChannelsPerTask> peak{}, sum{};
  std::array<std::int32_t, kChannelsPerTask> bad{};
  const auto count = static_cast<std::size_t>(end - begin);
  for (std::int64_t i = 0; i < x.dim(0); i++) {
    const T* row = x.row<T>(i) + begin;
    for (std::size_t c = 0; c < count; c++) {
      const float value = std::fabs(to_float(row[c]));
      const bool finite = value <= std::numeric_limits<float>::max();
      const float counted = finite ? value : 0;
      peak[c] = counted > peak[c] ? counted : peak[c];
      sum[c] += counted;
      bad[c] += finite ? 0 : 1;
    }
  }
  for (std::size_t c = 0; c < count; c++) {
    const std::size_t channel = static_cast<std::size_t>(begin) + c;
    abs_max_[channel] = std::max(abs_max_[channel], peak[c]);
    abs_sum_[channel] += sum[c];
    not_finite_[channel] += bad[c];
  }
}

void CalibrationStatistics::add(Ctx& ctx, const View& x) {
  const std::int64_t num_channels = std::ssize(abs_max_);
  CHECK(x.dim(1) == num_channels, "{} channels, expected {}", x.dim(1), num_channels);
  const std::int64_t num_tasks = (num_channels + kChannelsPerTask - 1) / kChannelsPerTask;
  ctx.pool->parallel_for(num_tasks, [&](std::int64_t task_idx, int) {
    const std::int64_t begin = task_idx * kChannelsPerTask;
    const std::int64_t end = std::min(num_channels, begin + kChannelsPerTask);
    if (x.dtype == DType::f32)
      add_channels<float>(x, begin, end);
    else if (x.dtype == DType::bf16)
      add_channels<bf16_t>(x, begin, end);
    else
      add_channels<f16_t>(x, begin, end);
  });
  num_rows_ += x.dim(0);
}

std::vector<float> CalibrationStatistics::abs_mean() const {
  std::vector<float> mean(abs_sum_.size());
  std::transform(abs_sum_.begin(), abs_sum_.end(), mean.begin(), [&](double sum) {
    return static_cast<float>(sum / static_cast<double>(std::max<std::int64_t>(1, num_rows_)));
  });
  return mean;
}

std::int64_t CalibrationStatistics::num_not_finite() const {
  return std::accumulate(not_finite_.begin(), not_finite_.end(), std::int64_t{0});
}

std::int64_t CalibrationStatistics::num_zero_channels() const {
  return std::count(abs_max_.begin(), abs_max_.end(), 0.0F);
}

}  // namespace lmdeploy
