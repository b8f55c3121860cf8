#include <algorithm>

#include "ops/cuda/dequantize_kernel.h"
#include "ops/cuda/deterministic.h"
#include "ops/cuda/fixed_gemm_kernel.h"
#include "ops/cuda/gemv_kernel.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/linear_inputs.h"
#include "ops/cuda/quantized_gemm_kernel.h"
#include "ops/cuda/quantized_matrix.h"

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::int64_t kSliceBytes = std::int64_t{64} << 20;  // of weights as floats, at a time

// f(rows of x, their output) for at most `at_once` rows after another.
template <class F>
void for_rows(const View& x, const LinearOutput& out, std::int64_t at_once, const F& f) {
  for (std::int64_t row = 0; row < x.dim(0); row += at_once)
    f(x.rows(row, std::min(at_once, x.dim(0) - row)), out.rows(row));
}

void add_slices(Ctx& ctx, const float* partial, int num_slices, const View& x, std::int64_t n,
                const LinearOutput& out) {
  CUDA_CHECK(launch_add_slices(partial, num_slices, x.dim(0), n, out, stream_of(ctx)));
}

// k elements filled up to a multiple of 16 bytes.
std::int64_t whole_pieces(DType dtype, std::int64_t k) {
  const std::int64_t unit = 16 / static_cast<std::int64_t>(dtype_bytes(dtype));
  return (k + unit - 1) / unit * unit;
}

// w: [n, k] of x's type; x: aligned, or without gaps between rows. An output is one warp's, which sums every
// token in the same order.
void plain_product(Ctx& ctx, const View& x, const void* w, bool w_is_new, std::int64_t n,
                   const LinearOutput& out) {
  for_rows(x, out, kMaxGemvTokens, [&](const View& rows, const LinearOutput& to) {
    FloatGemv gemv;
    gemv.dtype = rows.dtype;
    gemv.x = rows.data;
    // Which of the plain kernels it is depends on the stride, which of a single row may be any.
    gemv.x_stride = rows.dim(0) == 1 ? whole_pieces(rows.dtype, rows.dim(1)) : rows.row_stride;
    gemv.w = w;
    gemv.w_is_new = w_is_new;
    gemv.m = static_cast<int>(rows.dim(0));
    gemv.n = n;
    gemv.k = rows.dim(1);
    gemv.out = to;
    CUDA_CHECK(launch_plain_gemv(gemv, stream_of(ctx)));
  });
}

void float_product(Ctx& ctx, const View& x, const void* w, std::int64_t n, const LinearOutput& out) {
  const bool on_tensor_cores = x.dtype != DType::f32 && x.dim(1) % 8 == 0;
  const View rows = aligned(ctx, x);
  if (!on_tensor_cores) return plain_product(ctx, rows, w, false, n, out);
  FixedGemm gemm;
  gemm.dtype = rows.dtype;
  gemm.x = rows.data;
  gemm.x_stride = rows.row_stride;
  gemm.w = w;
  gemm.m = rows.dim(0);
  gemm.n = n;
  gemm.k = rows.dim(1);
  gemm.out = out;
  const int num_slices = fixed_gemm_slices(gemm.m, n, gemm.k, card_limits().num_multiprocessors);
  if (num_slices > 1) gemm.partial = ctx.workspace->take(DType::f32, {num_slices, gemm.m, n}).as<float>();
  CUDA_CHECK(launch_fixed_gemm(gemm, stream_of(ctx)));
  if (num_slices > 1) add_slices(ctx, gemm.partial, num_slices, rows, n, out);
}

// In f32 throughout.
void f32_product(Ctx& ctx, const View& x, const PackedMatrix& matrix, const LinearOutput& out) {
  const QuantizedMatrixPointers w = quantized_matrix(matrix);
  const View inputs = ctx.workspace->take(DType::f32, {x.dim(0), matrix.k});
  const Activations activations = matrix.format.activations;
  if (activations == Activations::as_they_are) {
    CUDA_CHECK(launch_pad_inputs(inputs_of(x), matrix.k, matrix.k, matrix.k, DType::f32, inputs.data,
                                 stream_of(ctx)));
  } else {
    const std::int64_t span = activations == Activations::int8_per_row ? matrix.k : w.layout.group_size;
    CUDA_CHECK(launch_round_inputs(inputs_of(x), span, inputs.as<float>(), stream_of(ctx)));
  }
  const std::int64_t num_rows = std::clamp(kSliceBytes / (matrix.k * 4) / kTileRows * kTileRows, kTileRows,
                                           w.layout.num_tiles() * kTileRows);
  const View slice = ctx.workspace->take(DType::f32, {num_rows, matrix.k});
  for (std::int64_t row = 0; row < matrix.n; row += num_rows) {
    const std::int64_t count = std::min(num_rows, matrix.n - row);
    CUDA_CHECK(launch_dequantize_slice(w, row, count, DType::f32, slice.data, stream_of(ctx)));
    plain_product(ctx, inputs, slice.data, true, count, out.columns(row));
  }
}

// The kernel's variants for more or fewer tokens sum alike as long as the inputs are cut alike.
void quantized_product(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w, const LinearOutput& out) {
  const CardLimits card = card_limits();
  const GemmPlan plan =
      plan_quantized_gemm(w.layout, kMaxGemmTokens, card.num_multiprocessors, card.max_shared_bytes);
  const std::int64_t max_rows = std::min<std::int64_t>(x.dim(0), kMaxGemmTokens);
  float* partial = nullptr;
  if (plan.num_slices > 1)
    partial = ctx.workspace->take(DType::f32, {plan.num_slices, max_rows, w.layout.n}).as<float>();
  for_rows(x, out, kMaxGemmTokens, [&](const View& rows, const LinearOutput& to) {
    const QuantizedInputs inputs{rows.data, rows.row_stride, static_cast<int>(rows.dim(0))};
    CUDA_CHECK(launch_quantized_gemm(w, inputs, plan, partial, to, stream_of(ctx)));
    if (plan.num_slices > 1) add_slices(ctx, partial, plan.num_slices, rows, w.layout.n, to);
  });
}

// x rounded per group: the sum of two products.
void group_rounded_product(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w,
                           const LinearOutput& out) {
  const std::int64_t rows_at_once = std::max<std::int64_t>(kMaxGemmTokens, kSliceBytes / (8 * w.layout.n));
  for_rows(x, out, rows_at_once, [&](const View& rows, const LinearOutput& to) {
    const Workspace::Scope scope(*ctx.workspace);
    const View parts = split_rounded(ctx, rows, w.layout.group_size);
    LinearOutput sums;
    sums.y = ctx.workspace->take(DType::f32, {parts.dim(0), w.layout.n}).as<float>();
    sums.stride = w.layout.n;
    quantized_product(ctx, padded(ctx, parts, w.layout), w, sums);
    add_slices(ctx, sums.y, 2, rows, w.layout.n, to);
  });
}

void quantized_linear(Ctx& ctx, const View& x, const PackedMatrix& matrix, LinearOutput out) {
  if (x.dtype == DType::f32) return f32_product(ctx, x, matrix, out);
  const QuantizedMatrixPointers w = quantized_matrix(matrix);
  if (matrix.format.activations == Activations::int8_per_group) return group_rounded_product(ctx, x, w, out);
  const View inputs =
      matrix.format.activations == Activations::int8_per_row ? rounded_per_row(ctx, x, out) : x;
  quantized_product(ctx, padded(ctx, inputs, w.layout), w, out);
}

}  // namespace

void deterministic_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const LinearOutput& out) {
  const Workspace::Scope scope(*ctx.workspace);
  if (w.format.quant)
    quantized_linear(ctx, x, w, out);
  else
    float_product(ctx, x, w.data.view().data, w.n, out);
}

}  // namespace lmdeploy::ops::cuda
