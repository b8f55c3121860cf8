#include "quantize/awq_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/ops.h"
#include "quantize/awq_scales.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kRowsAtOnce = 1024;  // of a weight: they bound the scratch

// What rounding w * s and dividing by s again makes of one row, less the row.
void rounding_error(std::span<const float> weights, std::span<const float> scales,
                    const RoundingOptions& options, float* errors) {
  const auto group_size = static_cast<std::size_t>(options.format.group_size);
  std::vector<float> scaled(group_size);
  for (std::size_t first = 0; first < weights.size(); first += group_size) {
    for (std::size_t i = 0; i < group_size; i++) scaled[i] = weights[first + i] * scales[first + i];
    const GroupGrid grid = fit_grid(scaled, options);
    for (std::size_t i = 0; i < group_size; i++)
      errors[first + i] = grid.value(grid.code(scaled[i])) / scales[first + i] - weights[first + i];
  }
}

double sum_of_squares(Ctx& ctx, const View& matrix) {
  std::vector<double> sums(static_cast<std::size_t>(matrix.dim(0)));
  ops::row_squares(ctx, matrix, sums);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// Of some rows of one weight.
double output_error(Contexts& contexts, const View& weight, const View& inputs, std::span<const float> scales,
                    const RoundingOptions& options) {
  Ctx &host = contexts.host(), &compute = contexts.compute();
  const Workspace::Scope scope(*compute.workspace), host_scope(*host.workspace);
  const std::int64_t n = weight.dim(0), k = weight.dim(1);
  const View errors = host.workspace->take(DType::f32, {n, k}),
             narrow = host.workspace->take(inputs.dtype, {n, k});
  host.pool->parallel_for(n, [&](std::int64_t row, int) {
    rounding_error({weight.row<float>(row), static_cast<std::size_t>(k)}, scales, options,
                   errors.row<float>(row));
  });
  ops::cast(host, errors, narrow);
  const View outputs = compute.workspace->take(DType::f32, {inputs.dim(0), n});
  ops::matmul(compute, inputs, on_device(compute, narrow), outputs);
  return sum_of_squares(compute, outputs);
}

double output_error(Contexts& contexts, const ScaledLinears& linears, std::span<const float> scales,
                    const RoundingOptions& options) {
  double sum = 0;
  for (const View& weight : linears.weights)
    for (std::int64_t row = 0; row < weight.dim(0); row += kRowsAtOnce)
      sum += output_error(contexts, weight.rows(row, std::min(kRowsAtOnce, weight.dim(0) - row)),
                          linears.inputs, scales, options);
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
  const std::vector<float> ones(sizes.size(), 1.0F);
  std::vector<float> best;
  double least = std::numeric_limits<double>::infinity();
  for (const std::vector<float>& divisors : {ones, sizes})
    for (std::int32_t i = 0; i < options.num_ratios; i++) {
      const double ratio = static_cast<double>(i) / options.num_ratios;
      std::vector<float> scales = balanced_scales(linears.input_mean, divisors, ratio);
      const double error = output_error(contexts, linears, scales, options.rounding);
      if (error < least || best.empty()) {
        least = error;
        best = std::move(scales);
      }
    }
  return best;
}

}  // namespace lmdeploy
