// The ops that treat every row by itself.
#include <algorithm>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/dequantize_kernel.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/quantized_matrix.h"
#include "ops/cuda/row_ops_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

FloatRows rows_of(const View& view) {
  return {view.data, view.dtype, view.row_stride};
}

void convert_rows(const Ctx& ctx, const FloatRows& from, const std::int32_t* ids, const View& y) {
  CUDA_CHECK(launch_convert_rows(from, ids, rows_of(y), y.dim(0), y.dim(1), stream_of(ctx)));
}

}  // namespace

void embed(Ctx& ctx, const Indices& ids, const View& table, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  convert_rows(ctx, rows_of(table), on_device(ctx, ids), y);
}

void embed(Ctx& ctx, const Indices& ids, const PackedMatrix& table, const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int32_t* device_ids = on_device(ctx, ids);
  if (table.format.quant)
    CUDA_CHECK(launch_dequantize_rows(quantized_matrix(table), device_ids, y.dim(0), y.as<float>(),
                                      y.row_stride, stream_of(ctx)));
  else
    convert_rows(ctx, {table.data.view().data, table.dtype(), table.k}, device_ids, y);
}

void rms_norm(Ctx& ctx, const View& x, const View& weight, float eps, const View& y) {
  RmsNormArguments arguments{};
  arguments.x = x.as<float>();
  arguments.x_stride = x.row_stride;
  arguments.weight = weight.as<float>();
  arguments.y = rows_of(y);
  arguments.num_rows = x.dim(0);
  arguments.groups_per_row = x.shape.rank() == 3 ? x.dim(1) : 1;
  arguments.d = weight.dim(0);
  arguments.eps = eps;
  CUDA_CHECK(launch_rms_norm(arguments, stream_of(ctx)));
}

void rope_table(Ctx& ctx, const Indices& positions, std::span<const float> inv_freq, float scale,
                const View& y) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int32_t* device_positions = on_device(ctx, positions);
  const std::size_t half = inv_freq.size();
  for (std::size_t first = 0; first < half; first += RopeFrequencies::kMax) {
    const auto piece = inv_freq.subspan(first, std::min<std::size_t>(RopeFrequencies::kMax, half - first));
    RopeFrequencies frequencies{};
    std::copy(piece.begin(), piece.end(), frequencies.at);
    CUDA_CHECK(launch_rope_table(device_positions, frequencies, static_cast<int>(first),
                                 static_cast<int>(piece.size()), static_cast<int>(half), scale, y.as<float>(),
                                 y.row_stride, y.dim(0), stream_of(ctx)));
  }
}

void rope(Ctx& ctx, const View& x, const View& table) {
  CUDA_CHECK(launch_rope(x.as<float>(), x.row_stride, table.as<float>(), table.row_stride, x.dim(0),
                         static_cast<int>(x.dim(1)), static_cast<int>(x.dim(2) / 2), stream_of(ctx)));
}

void silu_mul(Ctx& ctx, const View& x, const View& y) {
  CUDA_CHECK(launch_silu_mul(rows_of(x), rows_of(y), y.dim(0), y.dim(1), stream_of(ctx)));
}

void cast(Ctx& ctx, const View& x, const View& y) {
  convert_rows(ctx, rows_of(x), nullptr, y);
}

void gather_columns(Ctx& ctx, const View& x, const View& order, const View& y) {
  GatherArguments arguments{};
  arguments.x = x.data;
  arguments.x_stride = x.row_stride;
  arguments.order = order.as<std::int32_t>();
  arguments.y = y.data;
  arguments.y_stride = y.row_stride;
  arguments.num_rows = y.dim(0);
  arguments.n = y.dim(1);
  arguments.element_bytes = static_cast<int>(dtype_bytes(x.dtype));
  CUDA_CHECK(launch_gather_columns(arguments, stream_of(ctx)));
}

}  // namespace lmdeploy::ops::cuda
