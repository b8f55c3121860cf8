#include "quantize/block_scaling.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "quantize/awq_scales.h"

namespace lmdeploy {
namespace {

constexpr float kSmallest = 1e-5F;

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
  for (std::size_t i = 0; i < scales.size(); i++) bias.as<float>()[i] /= scales[i];
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

std::vector<float> smooth_scales(std::span<const float> input_max, std::span<const View> weights) {
  std::vector<float> weight_max(input_max.size());
  for (const View& weight : weights)
    for (std::int64_t row = 0; row < weight.dim(0); row++)
      for (std::size_t i = 0; i < weight_max.size(); i++)
        weight_max[i] = std::max(weight_max[i], std::fabs(weight.row<float>(row)[i]));
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
