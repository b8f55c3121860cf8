#include "quantize/block_scaling.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "quantize/awq_scales.h"

namespace lmdeploy {
namespace {

constexpr float kSmallest = 1e-5F;

// The largest |w| of each column in any of the weights.
std::vector<float> column_maxima(Ctx& ctx, std::span<const View> weights, std::int64_t k) {
  constexpr std::int64_t kColumnsPerTask = 256;
  std::vector<float> maxima(static_cast<std::size_t>(k));
  ctx.pool->parallel_for((k + kColumnsPerTask - 1) / kColumnsPerTask, [&](std::int64_t task, int) {
    const std::int64_t first = task * kColumnsPerTask, end = std::min(first + kColumnsPerTask, k);
    for (const View& weight : weights)
      for (std::int64_t row = 0; row < weight.dim(0); row++)
        for (std::int64_t i = first; i < end; i++)
          maxima[static_cast<std::size_t>(i)] =
              std::max(maxima[static_cast<std::size_t>(i)], std::fabs(weight.row<float>(row)[i]));
  });
  return maxima;
}

// Returns what each channel was divided by.
std::vector<float> divide_norm(const View& norm, DType file_dtype, std::vector<float> scales) {
  float* values = norm.as<float>();
  for (std::size_t i = 0; i < scales.size(); i++) {
    const float before = values[i], after = round_to_dtype(before / scales[i], file_dtype);
    const bool usable = before != 0 && after != 0 && std::isfinite(before / after);
    scales[i] = usable ? before / after : 1;
    if (usable) values[i] = after;
  }
  return scales;
}

void divide_linear(Ctx& ctx, const std::string& name, const std::vector<float>& scales,
                   const BlockWeights& weights) {
  divide_rows(ctx, weights.weight(name), scales);
  const View bias = weights.find_bias(name);
  if (bias.empty()) return;
  float* values = bias.as<float>();
  const DType dtype = weights.file_dtype(name);  // as the file will hold it: samples go through just that
  for (std::size_t i = 0; i < scales.size(); i++) values[i] = round_to_dtype(values[i] / scales[i], dtype);
}

}  // namespace

bool can_scale(const LinearGroup& group, const BlockWeights& weights) {
  if (group.maker != LinearGroup::Maker::linear) return group.maker == LinearGroup::Maker::norm;
  return weights.weight(group.maker_name).dim(0) == weights.weight(group.linears.front()).dim(1);
}

std::vector<View> weights_of(const LinearGroup& group, const BlockWeights& weights) {
  std::vector<View> result;
  for (const std::string& name : group.linears) result.push_back(weights.weight(name));
  return result;
}

std::vector<float> smooth_scales(Ctx& ctx, std::span<const float> input_max, std::span<const View> weights) {
  const std::vector<float> weight_max = column_maxima(ctx, weights, std::ssize(input_max));
  std::vector<float> scales(input_max.size(), 1);
  for (std::size_t i = 0; i < scales.size(); i++)
    if (input_max[i] > 0 && weight_max[i] > 0)
      scales[i] = std::max(kSmallest, std::sqrt(input_max[i]) / std::sqrt(weight_max[i]));
  return scales;
}

std::vector<float> fold_scales(Ctx& ctx, const LinearGroup& group, std::vector<float> scales,
                               const BlockWeights& weights) {
  CHECK(can_scale(group, weights), "{}{} cannot be scaled", weights.prefix(), group.linears.front());
  if (group.maker == LinearGroup::Maker::norm)
    scales = divide_norm(weights.weight(group.maker_name), weights.file_dtype(group.maker_name),
                         std::move(scales));
  else
    divide_linear(ctx, group.maker_name, scales, weights);
  for (const View& weight : weights_of(group, weights)) multiply_columns(ctx, weight, scales);
  return scales;
}

}  // namespace lmdeploy
