#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace lmdeploy::ops::ref {

// How a group's grid follows from its range.
struct GridRule {
  std::int32_t bits = 4;
  bool symmetric = false;
  double min_zero = 0;
  std::function<double(double)> round_scale;  // to what the file's dtype holds
};

// What each weight becomes on the grid that spans `share` of the group's range.
std::vector<double> rounded_group(const std::vector<double>& weights, double share, const GridRule& rule);

// e G e^T, e being what rounding to that grid changes. gram: [group_size * group_size]
double clipping_error(const std::vector<double>& weights, double share, const std::vector<double>& gram,
                      const GridRule& rule);

}  // namespace lmdeploy::ops::ref
