#include "ops/cuda/linear_inputs.h"

#include <map>
#include <mutex>

#include "ops/cuda/launch.h"

namespace lmdeploy::ops::cuda {

bool is_aligned(const View& x) {
  constexpr std::uintptr_t kUnit = 16;
  const auto row_bytes = static_cast<std::uintptr_t>(x.row_stride) * dtype_bytes(x.dtype);
  return reinterpret_cast<std::uintptr_t>(x.data) % kUnit == 0 && (x.dim(0) == 1 || row_bytes % kUnit == 0);
}

LinearInputs inputs_of(const View& x) {
  return {x.data, x.dtype, x.row_stride, x.dim(0), x.dim(1)};
}

View aligned(Ctx& ctx, const View& x) {
  if (is_aligned(x)) return x;
  const std::int64_t k = x.dim(1), unit = 16 / static_cast<std::int64_t>(dtype_bytes(x.dtype));
  const View copy = ctx.workspace->take(x.dtype, {x.dim(0), (k + unit - 1) / unit * unit});
  CUDA_CHECK(
      launch_pad_inputs(inputs_of(x), k, copy.dim(1), copy.dim(1), x.dtype, copy.data, stream_of(ctx)));
  return copy.columns(0, k);
}

View padded(Ctx& ctx, const View& x, const QuantizedLayout& layout) {
  if (layout.padded_k() == layout.k && is_aligned(x)) return x;
  const View copy = ctx.workspace->take(x.dtype, {x.dim(0), layout.padded_k()});
  CUDA_CHECK(launch_pad_inputs(inputs_of(x), layout.group_size, layout.padded_group(), layout.padded_k(),
                               x.dtype, copy.data, stream_of(ctx)));
  return copy;
}

View split_rounded(Ctx& ctx, const View& x, std::int64_t group_size) {
  const View parts = ctx.workspace->take(x.dtype, {2 * x.dim(0), x.dim(1)});
  CUDA_CHECK(launch_split_rounded_inputs(inputs_of(x), group_size, parts.data, stream_of(ctx)));
  return parts;
}

View rounded_per_row(Ctx& ctx, const View& x, LinearOutput& out) {
  const View integers = ctx.workspace->take(x.dtype, x.shape);
  const View scales = ctx.workspace->take(DType::f32, {x.dim(0)});
  CUDA_CHECK(launch_int8_inputs(inputs_of(x), integers.data, scales.as<float>(), stream_of(ctx)));
  out.row_scales = scales.as<float>();
  return integers;
}

}  // namespace lmdeploy::ops::cuda
