#include "quantize/awq_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/ops.h"
#include "quantize/awq_scales.h"

namespace lmdeploy {
namespace {

// Of a weight: they bound the scratch, and fill the device.
constexpr std::int64_t kRowsAtOnce = 1024, kCardRowsAtOnce = 8192;

double sum_of_squares(Ctx& ctx, const View& matrix) {
  std::vector<double> sums(static_cast<std::size_t>(matrix.dim(0)));
  ops::row_squares(ctx, matrix, sums);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

View view_of(std::span<const float> values) {
  return {const_cast<float*>(values.data()), DType::f32, {std::ssize(values)}};  // only read
}

// Of some rows of one weight.
double output_error(Ctx& ctx, const View& weight, const View& inputs, const View& scales,
                    const RoundingOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const View errors = ctx.workspace->take(inputs.dtype, weight.shape);
  ops::scaled_rounding_errors(ctx, weight, scales, options, errors);
  const View outputs = ctx.workspace->take(DType::f32, {inputs.dim(0), weight.dim(0)});
  ops::matmul(ctx, inputs, errors, outputs);
  return sum_of_squares(ctx, outputs);
}

// weights: in memory of ctx's device, as inputs are.
double output_error(Ctx& ctx, std::span<const View> weights, const View& inputs,
                    std::span<const float> scales, const RoundingOptions& options) {
  const Workspace::Scope scope(*ctx.workspace);
  const View device_scales = on_device(ctx, view_of(scales));
  const std::int64_t rows_at_once = ctx.device == Device::cpu ? kRowsAtOnce : kCardRowsAtOnce;
  double sum = 0;
  for (const View& weight : weights)
    for (std::int64_t row = 0; row < weight.dim(0); row += rows_at_once)
      sum += output_error(ctx, weight.rows(row, std::min(rows_at_once, weight.dim(0) - row)), inputs,
                          device_scales, options);
  return sum;
}

}  // namespace

std::vector<float> search_scales(Contexts& contexts, const ScaledLinears& linears,
                                 const SearchOptions& options) {
  const std::vector<float> sizes =
      relative_weight_sizes(contexts.host(), linears.weights, options.rounding.format.group_size);
  CHECK(linears.inputs.dim(1) == std::ssize(sizes) && linears.input_mean.size() == sizes.size(),
        "inputs {} and {} means for {} weights a row", linears.inputs.shape.to_string(),
        linears.input_mean.size(), sizes.size());
  Ctx& compute = contexts.compute();
  const Workspace::Scope scope(*compute.workspace);
  std::vector<View> weights;
  for (const View& weight : linears.weights) weights.push_back(on_device(compute, weight));
  const std::vector<float> ones(sizes.size(), 1.0F);
  std::vector<float> best;
  double least = std::numeric_limits<double>::infinity();
  for (const std::vector<float>& divisors : {ones, sizes})
    for (std::int32_t i = 0; i < options.num_ratios; i++) {
      const double ratio = static_cast<double>(i) / options.num_ratios;
      std::vector<float> scales = balanced_scales(linears.input_mean, divisors, ratio);
      const double error = output_error(compute, weights, linears.inputs, scales, options.rounding);
      if (error < least || best.empty()) {
        least = error;
        best = std::move(scales);
      }
    }
  return best;
}

}  // namespace lmdeploy
