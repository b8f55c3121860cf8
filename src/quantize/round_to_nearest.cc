#include "quantize/round_to_nearest.h"

namespace lmdeploy {
namespace {

void round_row(const float* weights, std::int64_t row, QuantizedLinear& target) {
  const std::int64_t group_size = target.format.group_size;
  std::uint8_t* codes = target.q.view().row<std::uint8_t>(row);
  for (std::int64_t group = 0; group < target.scales.shape()[1]; group++) {
    const GroupGrid grid = target.grid(row, group);
    for (std::int64_t i = group * group_size; i < (group + 1) * group_size; i++)
      codes[i] = static_cast<std::uint8_t>(grid.code(weights[i]));
  }
}

}  // namespace

QuantizedLinear round_to_nearest(Ctx& ctx, const View& weight, const RoundingOptions& options) {
  QuantizedLinear result = make_quantized_linear(ctx, weight.dim(0), weight.dim(1), options.format);
  const auto group_size = static_cast<std::size_t>(options.format.group_size);
  ctx.pool->parallel_for(weight.dim(0), [&](std::int64_t row, int) {
    const float* group_weights = weight.row<float>(row);
    for (std::int64_t group = 0; group < result.scales.shape()[1]; group++, group_weights += group_size)
      result.set_grid(row, group, fit_grid({group_weights, group_size}, options));
    round_row(weight.row<float>(row), row, result);
  });
  return result;
}

void round_to_grids(Ctx& ctx, const View& weight, QuantizedLinear& target) {
  CHECK(weight.shape == target.q.shape(), "round {} to the grids of {}", weight.shape.to_string(),
        target.q.shape().to_string());
  ctx.pool->parallel_for(weight.dim(0),
                         [&](std::int64_t row, int) { round_row(weight.row<float>(row), row, target); });
}

}  // namespace lmdeploy
