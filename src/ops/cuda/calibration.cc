// What calibration computes of activations.
#include "ops/cuda/calibration_kernel.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "tensor/cuda/device.h"

namespace lmdeploy::ops::cuda {
namespace {

FloatRows rows_of(const View& view) {
  return {view.data, view.dtype, view.row_stride};
}

}  // namespace

void transpose(Ctx& ctx, const View& x, const View& y) {
  CUDA_CHECK(launch_transpose(rows_of(x), rows_of(y), x.dim(0), x.dim(1), stream_of(ctx)));
}

void subtract(Ctx& ctx, const View& a, const View& b, const View& y) {
  CUDA_CHECK(launch_subtract(rows_of(a), rows_of(b), rows_of(y), y.dim(0), y.dim(1), stream_of(ctx)));
}

void multiply_columns(Ctx& ctx, const View& x, const View& factors, const View& y) {
  CUDA_CHECK(launch_multiply_columns(x.as<float>(), x.row_stride, factors.as<float>(), y.as<float>(),
                                     y.row_stride, y.dim(0), y.dim(1), stream_of(ctx)));
}

void add_channel_statistics(Ctx& ctx, const View& x, const ChannelStatistics& statistics) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t k = x.dim(1), num_chunks = (x.dim(0) + kTokensPerChunk - 1) / kTokensPerChunk;
  const ChannelPointers chunks{ctx.workspace->take(DType::f32, {num_chunks, k}).as<float>(),
                               ctx.workspace->take(DType::f32, {num_chunks, k}).as<float>(),
                               ctx.workspace->take(DType::i32, {num_chunks, k}).as<std::int32_t>()};
  const ChannelPointers total{statistics.abs_max.as<float>(), statistics.abs_sum.row<float>(0),
                              statistics.not_finite.as<std::int32_t>()};
  CUDA_CHECK(launch_channel_statistics(rows_of(x), x.dim(0), k, chunks, total,
                                       statistics.abs_sum.row<float>(1), stream_of(ctx)));
}

void row_squares(Ctx& ctx, const View& x, std::span<double> sums) {
  if (sums.empty()) return;
  const Workspace::Scope scope(*ctx.workspace);
  const auto bytes = static_cast<std::int64_t>(sums.size_bytes());
  auto* device_sums = static_cast<double*>(ctx.workspace->take(DType::u8, {bytes}).data);
  CUDA_CHECK(
      launch_row_squares(x.as<float>(), x.row_stride, x.dim(0), x.dim(1), device_sums, stream_of(ctx)));
  lmdeploy::cuda::copy_to_host(sums.data(), device_sums, sums.size_bytes(), ctx.stream);
}

}  // namespace lmdeploy::ops::cuda
