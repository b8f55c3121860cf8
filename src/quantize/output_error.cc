#include "quantize/output_error.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kSliceRows = 512;  // of x, at once

// By rows, added up in their order: the same whatever the number of threads.
double sum_of_squares(Ctx& ctx, const View& values) {
  std::vector<double> sums(static_cast<std::size_t>(values.dim(0)));
  ctx.pool->parallel_for(values.dim(0), [&](std::int64_t i, int) {
    const float* row = values.row<float>(i);
    sums[static_cast<std::size_t>(i)] = std::inner_product(row, row + values.dim(1), row, 0.0);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// |X W^T|^2.
double output_squares(Ctx& ctx, const View& x, const View& weight) {
  ops::PackedMatrix packed = ops::make_packed_matrix(ctx, {DType::f32}, weight.dim(0), weight.dim(1));
  ops::pack_rows(ctx, weight, packed, 0);
  double sum = 0;
  for (std::int64_t first = 0; first < x.dim(0); first += kSliceRows) {
    const Workspace::Scope scope(*ctx.workspace);
    const std::int64_t count = std::min(kSliceRows, x.dim(0) - first);
    const View y = ctx.workspace->take(DType::f32, {count, weight.dim(0)});
    ops::linear(ctx, x.rows(first, count), packed, y);
    sum += sum_of_squares(ctx, y);
  }
  return sum;
}

double squares(Ctx& ctx, const View& x, const View& weight) {
  return x.empty() ? sum_of_squares(ctx, weight) : output_squares(ctx, x, weight);
}

void subtract(Ctx& ctx, const View& target, const View& other) {
  ctx.pool->parallel_for(target.dim(0), [&](std::int64_t i, int) {
    for (std::int64_t c = 0; c < target.dim(1); c++) target.row<float>(i)[c] -= other.row<float>(i)[c];
  });
}

}  // namespace

double replace_by_rounded(Ctx& ctx, const View& weight, const QuantizedLinear& rounded, const View& x) {
  CHECK(weight.contiguous(), "weight is strided");
  Tensor after(*ctx.allocator, DType::f32, weight.shape);
  dequantize(rounded, after);
  const double whole = squares(ctx, x, weight);
  subtract(ctx, weight, after);
  const double lost = squares(ctx, x, weight);
  std::memcpy(weight.data, after.view().data, static_cast<std::size_t>(weight.bytes()));
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
