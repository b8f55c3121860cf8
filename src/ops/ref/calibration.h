#pragma once
#include <cstdint>
#include <vector>

#include "ops/ref/reference.h"

namespace lmdeploy::ops::ref {

Matrix transpose(const Matrix& x);
Matrix subtract(const Matrix& a, const Matrix& b);
Matrix multiply_columns(const Matrix& x, const std::vector<double>& factors);

// Of one channel, over all rows.
struct ChannelStatistics {
  double abs_max = 0;
  double abs_sum = 0;
  std::int64_t not_finite = 0;
};
std::vector<ChannelStatistics> channel_statistics(const Matrix& x);
std::vector<double> row_squares(const Matrix& x);

}  // namespace lmdeploy::ops::ref
