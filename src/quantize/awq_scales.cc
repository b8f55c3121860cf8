#include "quantize/awq_scales.h"

#include <algorithm>
#include <cmath>

#include "ops/ops.h"
#include "quantize/contexts.h"

namespace lmdeploy {
namespace {

constexpr double kSmallest = 1e-4;  // of a scale, and of a factor of it: LMDeploy's bound

// Of the weights of one group, [n, group_size], to the sums of its inputs.
void add_relative_sizes(const View& weight, double* sums) {
  const std::int64_t group_size = weight.dim(1);
  for (std::int64_t row = 0; row < weight.dim(0); row++) {
    const float* values = weight.row<float>(row);
    float largest = 0;
    for (std::int64_t i = 0; i < group_size; i++) largest = std::max(largest, std::abs(values[i]));
    if (largest == 0) continue;
    for (std::int64_t i = 0; i < group_size; i++)
      sums[i] += static_cast<double>(std::abs(values[i]) / largest);
  }
}

}  // namespace

std::vector<float> relative_weight_sizes(Ctx& ctx, std::span<const View> weights, std::int64_t group_size) {
  const std::int64_t k = weights.front().dim(1);
  CHECK(k % group_size == 0, "groups of {} in {} inputs", group_size, k);
  std::vector<double> sums(static_cast<std::size_t>(k));
  std::int64_t num_rows = 0;
  for (const View& weight : weights) {
    CHECK(weight.dim(1) == k, "linears of one input with {} and {} inputs", k, weight.dim(1));
    num_rows += weight.dim(0);
    ctx.pool->parallel_for(k / group_size, [&](std::int64_t group, int) {
      const std::int64_t first = group * group_size;
      add_relative_sizes(weight.columns(first, group_size), sums.data() + first);
    });
  }
  std::vector<float> result;
  for (const double sum : sums) result.push_back(static_cast<float>(sum / static_cast<double>(num_rows)));
  return result;
}

std::vector<float> balanced_scales(std::span<const float> input_sizes, std::span<const float> weight_sizes,
                                   double ratio) {
  CHECK(input_sizes.size() == weight_sizes.size(), "{} inputs, {} weight sizes", input_sizes.size(),
        weight_sizes.size());
  std::vector<double> scales(input_sizes.size());
  double low = 0, high = 0;  // of the scales of living inputs
  for (std::size_t i = 0; i < scales.size(); i++) {
    if (!(input_sizes[i] > 0) || !std::isfinite(input_sizes[i])) continue;
    const double divisor = std::max(kSmallest, std::pow(static_cast<double>(weight_sizes[i]), 1 - ratio));
    scales[i] = std::max(kSmallest, std::pow(static_cast<double>(input_sizes[i]), ratio) / divisor);
    low = low == 0 ? scales[i] : std::min(low, scales[i]);
    high = std::max(high, scales[i]);
  }
  const double middle = std::sqrt(low * high);
  std::vector<float> result;
  for (const double scale : scales) result.push_back(scale > 0 ? static_cast<float>(scale / middle) : 1.0F);
  return result;
}

void multiply_columns(Ctx& ctx, const View& matrix, std::span<const float> factors) {
  CHECK(matrix.dim(1) == std::ssize(factors), "{} factors for {} columns", factors.size(), matrix.dim(1));
  const Workspace::Scope scope(*ctx.workspace);
  const View host(const_cast<float*>(factors.data()), DType::f32, {std::ssize(factors)});  // only read
  ops::multiply_columns(ctx, matrix, on_device(ctx, host), matrix);
}

void divide_rows(Ctx& ctx, const View& weight, std::span<const float> divisors) {
  CHECK(weight.dim(0) == std::ssize(divisors), "{} divisors for {} rows", divisors.size(), weight.dim(0));
  ctx.pool->parallel_for(weight.dim(0), [&](std::int64_t row, int) {
    const float divisor = divisors[static_cast<std::size_t>(row)];
    float* values = weight.row<float>(row);
    for (std::int64_t i = 0; i < weight.dim(1); i++) values[i] /= divisor;
  });
}

}  // namespace lmdeploy
