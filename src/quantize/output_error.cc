#include "quantize/output_error.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kRowsAtOnce = 2048;  // of a weight: they bound the scratch

// By rows, added up in their order: the same whatever the number of threads.
double sum_of_squares(Ctx& ctx, const View& values) {
  std::vector<double> sums(static_cast<std::size_t>(values.dim(0)));
  ops::row_squares(ctx, values, sums);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// |X W^T|^2. weight: in host memory.
double output_squares(Ctx& ctx, const View& x, const View& weight) {
  double sum = 0;
  for (std::int64_t first = 0; first < weight.dim(0); first += kRowsAtOnce) {
    const Workspace::Scope scope(*ctx.workspace);
    const std::int64_t count = std::min(kRowsAtOnce, weight.dim(0) - first);
    const View y = ctx.workspace->take(DType::f32, {x.dim(0), count});
    ops::matmul(ctx, x, on_device(ctx, weight.rows(first, count)), y);
    sum += sum_of_squares(ctx, y);
  }
  return sum;
}

double squares(Contexts& contexts, const View& x, const View& weight) {
  return x.empty() ? sum_of_squares(contexts.host(), weight) : output_squares(contexts.compute(), x, weight);
}

}  // namespace

double replace_by_rounded(Contexts& contexts, const View& weight, const QuantizedLinear& rounded,
                          const View& x) {
  CHECK(weight.contiguous(), "weight is strided");
  Ctx& host = contexts.host();
  Tensor after(*host.allocator, DType::f32, weight.shape);
  dequantize(host, rounded, after);
  const double whole = squares(contexts, x, weight);
  ops::subtract(host, weight, after, weight);
  const double lost = squares(contexts, x, weight);
  ops::cast(host, after, weight);
  return whole > 0 ? std::sqrt(lost / whole) : 0;
}

double clipped_share(Ctx& ctx, const View& weight, const QuantizedLinear& rounded) {
  constexpr float kReach = 0.51F;  // steps: half of one, and what rounding the scale has moved
  const std::int64_t group_size = rounded.format.group_size;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(weight.dim(0)));
  ctx.pool->parallel_for(weight.dim(0), [&](std::int64_t row, int) {
    const float* values = weight.row<float>(row);
    for (std::int64_t first = 0; first < weight.dim(1); first += group_size) {
      const GroupGrid grid = rounded.grid(row, first / group_size);
      const float low = grid.value(-kReach), high = grid.value(grid.max_code + kReach);
      counts[static_cast<std::size_t>(row)] +=
          std::count_if(values + first, values + first + group_size,
                        [&](float value) { return value < low || value > high; });
    }
  });
  return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0})) /
         static_cast<double>(weight.shape.num_elements());
}

}  // namespace lmdeploy
