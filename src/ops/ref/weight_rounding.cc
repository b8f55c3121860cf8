#include "ops/ref/weight_rounding.h"

#include <algorithm>
#include <cmath>

namespace lmdeploy::ops::ref {

std::vector<double> rounded_group(const std::vector<double>& weights, double share, const GridRule& rule) {
  const double low = std::min(0.0, share * *std::min_element(weights.begin(), weights.end())),
               high = std::max(0.0, share * *std::max_element(weights.begin(), weights.end())),
               max_code = std::exp2(rule.bits) - 1;
  const double range = rule.symmetric ? 2 * std::max(-low, high) : high - low;
  const double scale =
      rule.round_scale(std::max({range / max_code, high / (max_code - rule.min_zero), 1e-6}));
  const double zero =
      rule.symmetric ? (max_code + 1) / 2 : std::clamp(std::nearbyint(-low / scale), rule.min_zero, max_code);
  std::vector<double> result;
  for (const double weight : weights)
    result.push_back((std::clamp(std::nearbyint(weight / scale) + zero, 0.0, max_code) - zero) * scale);
  return result;
}

double clipping_error(const std::vector<double>& weights, double share, const std::vector<double>& gram,
                      const GridRule& rule) {
  const std::vector<double> rounded = rounded_group(weights, share, rule);
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); i++)
    for (std::size_t j = 0; j < weights.size(); j++)
      sum += (rounded[i] - weights[i]) * gram[i * weights.size() + j] * (rounded[j] - weights[j]);
  return sum;
}

}  // namespace lmdeploy::ops::ref
