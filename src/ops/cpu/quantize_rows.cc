// Floats to the nearest integers of a packed matrix.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// Rows that are integers at a time, before they are packed: scratch of 2 MB at k = 4096.
constexpr std::int64_t kRowsAtOnce = 512;

struct Grid {
  float scale = 0;
  std::uint8_t zero = 0;
};

// The grid of 2^bits values that spans `x` and 0, so that 0 is one of them.
Grid grid_of(const QuantFormat& format, const float* x) {
  float low = 0, high = 0, sum = 0;
  for (std::int64_t i = 0; i < format.group_size; i++) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    sum += x[i] - x[i];  // NaN from an infinity or NaN
  }
  const auto top = static_cast<float>((1 << format.bits) - 1);
  if (std::isnan(sum)) return {std::numeric_limits<float>::quiet_NaN(), 0};
  const float scale = round_to_dtype(high / top - low / top, format.scale_dtype);
  if (!(scale > 0)) return {};
  return {scale, static_cast<std::uint8_t>(std::min(top, std::nearbyint(-low / scale)))};
}

void quantize_row(const QuantFormat& format, const float* x, const QuantizedRows& rows, std::int64_t row) {
  const auto top = static_cast<float>((1 << format.bits) - 1);
  std::uint8_t* q = rows.q.row<std::uint8_t>(row);
  for (std::int64_t group = 0; group < rows.scales.dim(1); group++) {
    const Grid grid = grid_of(format, x);
    rows.scales.row<float>(row)[group] = grid.scale;
    rows.zeros.row<std::uint8_t>(row)[group] = grid.zero;
    const bool has_values = grid.scale > 0;
    for (std::int64_t i = 0; i < format.group_size; i++) {
      const float value = has_values ? x[i] / grid.scale + static_cast<float>(grid.zero) : 0;
      *q++ = static_cast<std::uint8_t>(std::nearbyint(std::clamp(value, 0.0F, top)));
    }
    x += format.group_size;
  }
}

}  // namespace

void quantize_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  const Workspace::Scope scope(*ctx.workspace);
  const QuantFormat& format = *matrix.format.quant;
  const std::int64_t k = matrix.k, num_groups = k / format.group_size;
  const std::int64_t num_rows = std::min(kRowsAtOnce, source.dim(0));
  const View floats = ctx.workspace->take(DType::f32, {ctx.pool->num_threads(), k});
  const QuantizedRows rows{ctx.workspace->take(DType::u8, {num_rows, k}),
                           ctx.workspace->take(DType::f32, {num_rows, num_groups}),
                           ctx.workspace->take(DType::u8, {num_rows, num_groups})};
  const auto cast = kernels(ctx.cpu_isa).cast[dtype_idx(source.dtype)][dtype_idx(DType::f32)];
  for (std::int64_t begin = 0; begin < source.dim(0); begin += num_rows) {
    const std::int64_t count = std::min(num_rows, source.dim(0) - begin);
    const auto quantize = [&](std::int64_t row, int thread_idx) {
      float* x = floats.row<float>(thread_idx);
      cast(element(source, begin + row), x, k);
      quantize_row(format, x, rows, row);
    };
    ctx.pool->parallel_for(count, std::cref(quantize));
    cpu::pack_quantized_rows(ctx,
                             {rows.q.rows(0, count), rows.scales.rows(0, count), rows.zeros.rows(0, count)},
                             matrix, first_row + begin);
  }
}

}  // namespace lmdeploy::ops::cpu
