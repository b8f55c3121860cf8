#include "quantize/calibration_statistics.h"

#include <algorithm>
#include <numeric>

#include "quantize/contexts.h"

namespace lmdeploy {

CalibrationStatistics::CalibrationStatistics(Ctx& ctx, std::int64_t num_channels)
    : ctx_(ctx),
      abs_max_(make_zeros(ctx, DType::f32, {num_channels})),
      abs_sum_(make_zeros(ctx, DType::f32, {2, num_channels})),
      not_finite_(make_zeros(ctx, DType::i32, {num_channels})) {}

void CalibrationStatistics::add(const View& x) {
  ops::add_channel_statistics(ctx_, x, {abs_max_, abs_sum_, not_finite_});
  num_rows_ += x.dim(0);
}

std::vector<float> CalibrationStatistics::abs_max() const {
  const OnHost host(ctx_, abs_max_);
  const float* values = host.view().as<float>();
  return {values, values + host.view().dim(0)};
}

std::vector<float> CalibrationStatistics::abs_mean() const {
  const OnHost host(ctx_, abs_sum_);
  const float *sum = host.view().row<float>(0), *left_out = host.view().row<float>(1);
  const auto num_rows = static_cast<double>(std::max<std::int64_t>(1, num_rows_));
  std::vector<float> mean;
  for (std::int64_t i = 0; i < host.view().dim(1); i++)
    mean.push_back(
        static_cast<float>((static_cast<double>(sum[i]) + static_cast<double>(left_out[i])) / num_rows));
  return mean;
}

std::int64_t CalibrationStatistics::num_not_finite() const {
  const OnHost host(ctx_, not_finite_);
  const auto* counts = host.view().as<std::int32_t>();
  return std::accumulate(counts, counts + host.view().dim(0), std::int64_t{0});
}

std::int64_t CalibrationStatistics::num_zero_channels() const {
  const std::vector<float> peaks = abs_max();
  return std::count(peaks.begin(), peaks.end(), 0.0F);
}

}  // namespace lmdeploy
