#include "quantize/clipping.h"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

constexpr int kNumShares = 10;  // of the range: 1, 0.95, ..
constexpr float kShareStep = 0.05F;

// e G e^T over one group. grams: [group_size, group_size] f32
float group_error(std::span<const float> errors, const View& grams) {
  float sum = 0;
  for (std::size_t i = 0; i < errors.size(); i++) {
    const float* row = grams.row<float>(static_cast<std::int64_t>(i));
    float product = 0;
    for (std::size_t j = 0; j < errors.size(); j++) product += row[j] * errors[j];
    sum += product * errors[i];
  }
  return sum;
}

GroupGrid clip_grid(std::span<const float> weights, const View& grams, const RoundingOptions& options) {
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  std::vector<float> errors(weights.size());
  GroupGrid best;
  float least = std::numeric_limits<float>::infinity();
  for (int i = 0; i < kNumShares; i++) {
    const float share = 1 - kShareStep * static_cast<float>(i);
    const GroupGrid grid = make_grid(*low * share, *high * share, options);
    for (std::size_t j = 0; j < weights.size(); j++)
      errors[j] = grid.value(grid.code(weights[j])) - weights[j];
    const float error = group_error(errors, grams);
    if (i == 0 || error < least) {
      least = error;
      best = grid;
    }
  }
  return best;
}

}  // namespace

Tensor group_grams(Ctx& ctx, const View& inputs, std::int64_t group_size) {
  const std::int64_t m = inputs.dim(0), k = inputs.dim(1);
  CHECK(k % group_size == 0, "groups of {} in {} inputs", group_size, k);
  const Workspace::Scope scope(*ctx.workspace);
  const View columns = ctx.workspace->take(inputs.dtype, {k, m});
  ops::transpose(ctx, inputs, columns);
  Tensor result(*ctx.allocator, DType::f32, {k, group_size});
  for (std::int64_t first = 0; first < k; first += group_size) {
    const View group = columns.rows(first, group_size);
    ops::matmul(ctx, group, group, result.view().rows(first, group_size));
  }
  return result;
}

void clip_grids(Ctx& ctx, const View& weight, const View& group_grams, const RoundingOptions& options,
                QuantizedLinear& target) {
  const std::int64_t k = weight.dim(1), group_size = options.format.group_size;
  CHECK(target.format == options.format && weight.shape == target.q.shape() &&
            group_grams.shape == Shape({k, group_size}),
        "clip {} with sums {} for {}", weight.shape.to_string(), group_grams.shape.to_string(),
        target.q.shape().to_string());
  ctx.pool->parallel_for(weight.dim(0), [&](std::int64_t row, int) {
    for (std::int64_t first = 0; first < k; first += group_size)
      target.set_grid(row, first / group_size,
                      clip_grid({weight.row<float>(row) + first, static_cast<std::size_t>(group_size)},
                                group_grams.rows(first, group_size), options));
  });
}

}  // namespace lmdeploy
