#include "quant/group_grid.h"

#include <cmath>

#include "base/error.h"

namespace lmdeploy {
namespace {

// A group of zeros needs a scale too: a subnormal float16, but not its last bit.
constexpr float kMinStep = 1e-6F;

}  // namespace

GroupGrid make_grid(float low, float high, const RoundingOptions& options) {
  low = std::min(low, 0.0F);
  high = std::max(high, 0.0F);
  const auto min_zero = static_cast<float>(options.min_zero);
  const float range = options.symmetric ? 2 * std::max(-low, high) : high - low;
  GroupGrid grid;
  grid.max_code = max_code(options.format);
  const float step = std::max({range / grid.max_code, high / (grid.max_code - min_zero), kMinStep});
  grid.scale = round_to_dtype(step, options.scale_dtype);
  if (!std::isfinite(grid.scale))
    throw Error(fmt::format("weights from {} to {} need a scale of {}, which {} cannot hold", low, high, step,
                            dtype_name(options.scale_dtype)),
                "The folder's weights are damaged, or meant for a wider dtype.");
  grid.zero = options.symmetric ? static_cast<float>(1 << (options.format.bits - 1))
                                : std::clamp(round_half_even(-low / grid.scale), min_zero, grid.max_code);
  return grid;
}

GroupGrid fit_grid(std::span<const float> weights, const RoundingOptions& options) {
  float low = 0, high = 0, sum = 0;
  for (const float weight : weights) {
    low = std::min(low, weight);
    high = std::max(high, weight);
    sum += weight;  // comparisons pass a NaN over, a sum keeps it
  }
  if (std::isnan(sum)) throw Error("a weight is NaN", "The folder's weights are damaged; fetch it again.");
  return make_grid(low, high, options);
}

}  // namespace lmdeploy
