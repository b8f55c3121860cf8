#include "quantize/clipping.h"

#include <algorithm>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

// Of a row's groups, by the choice made for each.
void clip_row(const float* weights, const std::uint8_t* choices, std::int64_t row,
              const RoundingOptions& options, QuantizedLinear& target) {
  const std::int64_t group_size = options.format.group_size;
  for (std::int64_t group = 0; group < target.scales.shape()[1]; group++, weights += group_size) {
    const auto [low, high] = std::minmax_element(weights, weights + group_size);
    const float share = clip_share(choices[group]);
    target.set_grid(row, group, make_grid(*low * share, *high * share, options));
  }
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

void clip_grids(Contexts& contexts, const View& weight, const View& group_grams,
                const RoundingOptions& options, QuantizedLinear& target) {
  const std::int64_t n = weight.dim(0), k = weight.dim(1), group_size = options.format.group_size;
  CHECK(target.format == options.format && weight.shape == target.q.shape() &&
            group_grams.shape == Shape({k, group_size}),
        "clip {} with sums {} for {}", weight.shape.to_string(), group_grams.shape.to_string(),
        target.q.shape().to_string());
  Ctx& compute = contexts.compute();
  const Workspace::Scope scope(*compute.workspace);
  const View choices = compute.workspace->take(DType::u8, {n, k / group_size});
  ops::choose_clipping(compute, on_device(compute, weight), group_grams, options, choices);
  const OnHost chosen(compute, choices);
  contexts.host().pool->parallel_for(n, [&](std::int64_t row, int) {
    clip_row(weight.row<float>(row), chosen.view().row<std::uint8_t>(row), row, options, target);
  });
}

}  // namespace lmdeploy
