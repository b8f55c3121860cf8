// What calibration computes of activations, and the weights it changes.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// Lines of a square of so many elements stay in the first-level cache while their columns are written.
constexpr std::int64_t kTile = 32;
// One task: their sums stay in the first-level cache while the rows pass.
constexpr std::int64_t kChannelsPerTask = 256;

// f(type) with a value of the type that holds elements of dtype.
template <class F>
void with_float_type(DType dtype, const F& f) {
  if (dtype == DType::f32)
    f(float{});
  else if (dtype == DType::bf16)
    f(bf16_t{});
  else
    f(f16_t{});
}

// Rows [first, first + kTile) of y.
template <class T>
void transpose_tiles(const View& x, const View& y, std::int64_t first) {
  const std::int64_t end = std::min(first + kTile, y.dim(0)), m = x.dim(0);
  for (std::int64_t tile = 0; tile < m; tile += kTile)
    for (std::int64_t row = first; row < end; row++) {
      T* out = y.row<T>(row);
      for (std::int64_t i = tile; i < std::min(tile + kTile, m); i++) out[i] = x.row<T>(i)[row];
    }
}

template <class T>
void subtract_row(const T* a, const T* b, T* y, std::int64_t k) {
  for (std::int64_t i = 0; i < k; i++) y[i] = from_float<T>(to_float(a[i]) - to_float(b[i]));
}

// sum += value, and `left_out` keeps what rounding the sum loses (Kahan 1965).
void add_compensated(float value, float& sum, float& left_out) {
  const float term = value + left_out, total = sum + term;
  left_out = term - (total - sum);
  sum = total;
}

template <class T>
void add_channels(const View& x, const ChannelStatistics& statistics, std::int64_t begin, std::int64_t end) {
  std::array<float, kChannelsPerTask> peak{}, sum{};
  std::array<std::int32_t, kChannelsPerTask> bad{};
  const auto count = static_cast<std::size_t>(end - begin);
  for (std::int64_t i = 0; i < x.dim(0); i++) {
    const T* row = x.row<T>(i) + begin;
    for (std::size_t c = 0; c < count; c++) {
      const float value = std::fabs(to_float(row[c]));
      const bool finite = value <= std::numeric_limits<float>::max();
      const float counted = finite ? value : 0;
      peak[c] = counted > peak[c] ? counted : peak[c];
      sum[c] += counted;
      bad[c] += finite ? 0 : 1;
    }
  }
  float* abs_max = statistics.abs_max.as<float>() + begin;
  float *abs_sum = statistics.abs_sum.row<float>(0) + begin, *rest = statistics.abs_sum.row<float>(1) + begin;
  auto* not_finite = statistics.not_finite.as<std::int32_t>() + begin;
  for (std::size_t c = 0; c < count; c++) {
    abs_max[c] = std::max(abs_max[c], peak[c]);
    add_compensated(sum[c], abs_sum[c], rest[c]);
    not_finite[c] += bad[c];
  }
}

double squares(const float* row, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; i++) sum += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  return sum;
}

}  // namespace

void transpose(Ctx& ctx, const View& x, const View& y) {
  const auto by_tile = [&](std::int64_t tile, int) {
    with_float_type(x.dtype, [&](auto type) { transpose_tiles<decltype(type)>(x, y, tile * kTile); });
  };
  ctx.pool->parallel_for((y.dim(0) + kTile - 1) / kTile, by_tile);
}

void subtract(Ctx& ctx, const View& a, const View& b, const View& y) {
  with_float_type(a.dtype, [&](auto type) {
    using T = decltype(type);
    parallel_rows(ctx, y.dim(0), y.dim(1), [&](std::int64_t row) {
      subtract_row(a.row<T>(row), b.row<T>(row), y.row<T>(row), y.dim(1));
    });
  });
}

void multiply_columns(Ctx& ctx, const View& x, const View& factors, const View& y) {
  const float* by = factors.as<float>();
  parallel_rows(ctx, y.dim(0), y.dim(1), [&](std::int64_t row) {
    const float* from = x.row<float>(row);
    float* to = y.row<float>(row);
    for (std::int64_t i = 0; i < y.dim(1); i++) to[i] = from[i] * by[i];
  });
}

void add_channel_statistics(Ctx& ctx, const View& x, const ChannelStatistics& statistics) {
  const std::int64_t k = x.dim(1);
  ctx.pool->parallel_for((k + kChannelsPerTask - 1) / kChannelsPerTask, [&](std::int64_t task_idx, int) {
    const std::int64_t begin = task_idx * kChannelsPerTask, end = std::min(k, begin + kChannelsPerTask);
    with_float_type(x.dtype, [&](auto type) { add_channels<decltype(type)>(x, statistics, begin, end); });
  });
}

void row_squares(Ctx& ctx, const View& x, std::span<double> sums) {
  parallel_rows(ctx, x.dim(0), x.dim(1), [&](std::int64_t row) {
    sums[static_cast<std::size_t>(row)] = squares(x.row<float>(row), x.dim(1));
  });
}

}  // namespace lmdeploy::ops::cpu
