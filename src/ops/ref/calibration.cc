#include "ops/ref/calibration.h"

#include <algorithm>
#include <cmath>

namespace lmdeploy::ops::ref {

Matrix transpose(const Matrix& x) {
  Matrix y(x.num_columns, x.num_rows);
  for (std::int64_t i = 0; i < x.num_rows; i++)
    for (std::int64_t j = 0; j < x.num_columns; j++) y.at(j, i) = x.at(i, j);
  return y;
}

Matrix subtract(const Matrix& a, const Matrix& b) {
  Matrix y(a.num_rows, a.num_columns);
  for (std::size_t i = 0; i < y.values.size(); i++) y.values[i] = a.values[i] - b.values[i];
  return y;
}

Matrix multiply_columns(const Matrix& x, const std::vector<double>& factors) {
  Matrix y(x.num_rows, x.num_columns);
  for (std::int64_t i = 0; i < x.num_rows; i++)
    for (std::int64_t j = 0; j < x.num_columns; j++)
      y.at(i, j) = x.at(i, j) * factors[static_cast<std::size_t>(j)];
  return y;
}

std::vector<ChannelStatistics> channel_statistics(const Matrix& x) {
  std::vector<ChannelStatistics> result(static_cast<std::size_t>(x.num_columns));
  for (std::int64_t i = 0; i < x.num_rows; i++)
    for (std::int64_t j = 0; j < x.num_columns; j++) {
      ChannelStatistics& channel = result[static_cast<std::size_t>(j)];
      const double value = std::abs(x.at(i, j));
      if (!std::isfinite(value)) {
        channel.not_finite++;
        continue;
      }
      channel.abs_max = std::max(channel.abs_max, value);
      channel.abs_sum += value;
    }
  return result;
}

std::vector<double> row_squares(const Matrix& x) {
  std::vector<double> sums(static_cast<std::size_t>(x.num_rows));
  for (std::int64_t i = 0; i < x.num_rows; i++)
    for (std::int64_t j = 0; j < x.num_columns; j++)
      sums[static_cast<std::size_t>(i)] += x.at(i, j) * x.at(i, j);
  return sums;
}

}  // namespace lmdeploy::ops::ref
