// y = x W^T on a card. Which kernel computes it depends on the number of tokens: few stream the weights
// through registers, many are cuBLASLt's. Sums are f32 always; within one kernel an output's order does not
// depend on how many tokens there are.
#include <algorithm>

#include "ops/cuda/cublas_lt.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/dequantize_kernel.h"
#include "ops/cuda/deterministic.h"
#include "ops/cuda/gemv_kernel.h"
#include "ops/cuda/hopper_gemm_kernel.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/linear_product.h"
#include "ops/cuda/quantized_gemm_kernel.h"
#include "ops/cuda/quantized_gemv_kernel.h"
#include "ops/cuda/quantized_matrix.h"

namespace lmdeploy::ops::cuda {
namespace {

// Rows of the weights as floats of x's type.
struct FloatWeights {
  const void* data;  // [n, k]
  std::int64_t n;
  bool are_new;  // made by the kernel before
};

// More tokens than this take the weights as floats. Of hopper_gemm they pass by the weights kMaxHopperTokens
// at a time.
constexpr std::int64_t kMaxQuantizedTokens = 128, kMaxHopperPasses = 2;
// Floats are made in scratch of at most so many bytes: the down projection of a 7B is one piece.
constexpr std::int64_t kSliceBytes = std::int64_t{128} << 20;
// Tiles of 256 of so many outputs, times 8 of 128 tokens, are what a card of 132 multiprocessors does at
// once.
constexpr std::int64_t kSliceRows = 4096;
constexpr std::int64_t kSumBytes = std::int64_t{64} << 20;  // of products whose rows are scaled behind

void float_gemv(Ctx& ctx, const View& x, const FloatWeights& w, const LinearOutput& out) {
  FloatGemv gemv;
  gemv.dtype = x.dtype;
  gemv.x = x.data;
  gemv.x_stride = x.row_stride;
  gemv.w = w.data;
  gemv.w_is_new = w.are_new;
  gemv.m = static_cast<int>(x.dim(0));
  gemv.n = w.n;
  gemv.k = x.dim(1);
  gemv.out = out;
  const bool on_tensor_cores = x.dtype != DType::f32 && x.dim(1) % 8 == 0;
  if (!on_tensor_cores) return CUDA_CHECK(launch_plain_gemv(gemv, stream_of(ctx)));
  const Workspace::Scope scope(*ctx.workspace);
  const View rows = aligned(ctx, x);
  gemv.x = rows.data;
  gemv.x_stride = rows.row_stride;
  CUDA_CHECK(launch_gemv(gemv, card_limits(), stream_of(ctx)));
}

// By cuBLASLt; false where it has no kernel for these shapes. y: [m, w.n] f32 or of x's type.
bool float_gemm(Ctx& ctx, const View& x, const FloatWeights& w, const View& y, bool accumulate) {
  const std::int64_t k = x.dim(1);
  if (k * static_cast<std::int64_t>(dtype_bytes(x.dtype)) % 16 != 0) return false;
  const Workspace::Scope scope(*ctx.workspace);
  const View rows = aligned(ctx, x);
  return cublas_matmul(ctx, {x.dtype, x.dim(0), w.n, k, rows.data, rows.row_stride, w.data, y.data, y.dtype,
                             y.row_stride, accumulate});
}

// out.row_scales must be none.
void float_linear(Ctx& ctx, const View& x, const FloatWeights& w, LinearOutput out) {
  const std::int64_t m = x.dim(0);
  if (m <= kMaxGemvTokens) return float_gemv(ctx, x, w, out);
  if (out.bias != nullptr) {
    CUDA_CHECK(launch_add_bias(out, m, w.n, stream_of(ctx)));
    out.bias = nullptr;
    out.accumulate = true;
  }
  if (float_gemm(ctx, x, w, View(out.y, DType::f32, {m, w.n}, out.stride), out.accumulate)) return;
  for (std::int64_t row = 0; row < m; row += kMaxGemvTokens)
    float_gemv(ctx, x.rows(row, std::min<std::int64_t>(kMaxGemvTokens, m - row)), w, out.rows(row));
}

// Rows of weights that are made floats at once.
std::int64_t slice_rows(const QuantizedLayout& layout, DType dtype) {
  const std::int64_t row_bytes = layout.k * static_cast<std::int64_t>(dtype_bytes(dtype)),
                     most = kSliceBytes / row_bytes, unit = most < kSliceRows ? kTileRows : kSliceRows;
  return std::max(kTileRows, std::min(layout.num_tiles() * kTileRows, most / unit * unit));
}

// f(weights, first row) for the weights as floats of x's type, piece by piece, as long as it returns true.
template <class F>
bool for_dequantized(Ctx& ctx, DType dtype, const QuantizedMatrixPointers& w, const F& f) {
  const std::int64_t num_rows = slice_rows(w.layout, dtype);
  const Workspace::Scope scope(*ctx.workspace);
  const View slice = ctx.workspace->take(dtype, {num_rows, w.layout.k});
  for (std::int64_t row = 0; row < w.layout.n; row += num_rows) {
    const std::int64_t count = std::min(num_rows, w.layout.n - row);
    CUDA_CHECK(launch_dequantize_slice(w, row, count, dtype, slice.data, stream_of(ctx)));
    if (!f(FloatWeights{slice.data, count, true}, row)) return false;
  }
  return true;
}

void dequantized_linear(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w, const LinearOutput& out) {
  for_dequantized(ctx, x.dtype, w, [&](const FloatWeights& weights, std::int64_t row) {
    float_linear(ctx, x, weights, out.columns(row));
    return true;
  });
}

// For x whose rows are multiples of out.row_scales: these are applied to a copy of the result.
void dequantized_scaled_linear(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w,
                               const LinearOutput& out) {
  const std::int64_t n = w.layout.n;
  const std::int64_t rows_at_once = std::max<std::int64_t>(kMaxQuantizedTokens, kSumBytes / (4 * n));
  for (std::int64_t row = 0; row < x.dim(0); row += rows_at_once) {
    const Workspace::Scope scope(*ctx.workspace);
    const View part = x.rows(row, std::min(rows_at_once, x.dim(0) - row));
    const View sums = ctx.workspace->take(DType::f32, {part.dim(0), n});
    LinearOutput plain;
    plain.y = sums.as<float>();
    plain.stride = n;
    dequantized_linear(ctx, part, w, plain);
    CUDA_CHECK(launch_add_slices(plain.y, 1, part.dim(0), n, out.rows(row), stream_of(ctx)));
  }
}

// In f32 throughout.
void f32_linear(Ctx& ctx, const View& x, const PackedMatrix& w, const LinearOutput& out) {
  const Workspace::Scope scope(*ctx.workspace);
  const Activations activations = w.format.activations;
  View inputs = x;
  if (activations != Activations::as_they_are) {
    const std::int64_t span = activations == Activations::int8_per_row ? w.k : w.format.quant->group_size;
    inputs = ctx.workspace->take(DType::f32, {x.dim(0), w.k});
    CUDA_CHECK(launch_round_inputs(inputs_of(x), span, inputs.as<float>(), stream_of(ctx)));
  }
  dequantized_linear(ctx, inputs, quantized_matrix(w), out);
}

// Sums of slices of the inputs on their way to `out`: launch(scratch of [num_slices, m, n], or none for one).
template <class F>
void add_up_slices(Ctx& ctx, int num_slices, std::int64_t m, std::int64_t n, const LinearOutput& out,
                   const F& launch) {
  const Workspace::Scope scope(*ctx.workspace);
  if (num_slices == 1) return CUDA_CHECK(launch(nullptr));
  float* partial = ctx.workspace->take(DType::f32, {num_slices, m, n}).as<float>();
  CUDA_CHECK(launch(partial));
  CUDA_CHECK(launch_add_slices(partial, num_slices, m, n, out, stream_of(ctx)));
}

QuantizedInputs quantized_inputs(const View& x) {
  return {x.data, x.row_stride, static_cast<int>(x.dim(0))};
}

void quantized_product(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w, const LinearOutput& out) {
  const CardLimits card = card_limits();
  const QuantizedInputs inputs = quantized_inputs(x);
  if (fits_gemv(w.layout, inputs.m, out.gated != nullptr))
    return CUDA_CHECK(launch_quantized_gemv(w, inputs, out, card, stream_of(ctx)));
  const GemmPlan plan =
      plan_quantized_gemm(w.layout, inputs.m, card.num_multiprocessors, card.max_shared_bytes);
  add_up_slices(ctx, plan.num_slices, inputs.m, w.layout.n, out, [&](float* partial) {
    return launch_quantized_gemm(w, inputs, plan, partial, out, stream_of(ctx));
  });
}

void hopper_product(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w, const LinearOutput& out) {
  const HopperGemmPlan plan = plan_hopper_gemm(w.layout, card_limits().num_multiprocessors);
  add_up_slices(ctx, plan.num_slices, x.dim(0), w.layout.n, out, [&](float* partial) {
    return launch_hopper_gemm(w, quantized_inputs(x), plan, partial, out, stream_of(ctx));
  });
}

bool is_hopper_product(const QuantizedLayout& layout, std::int64_t m) {
  return m >= kMinHopperTokens && m <= kMaxHopperPasses * kMaxHopperTokens && has_hopper_gemm(layout);
}
// Whether m tokens meet the matrix as it is stored.
bool is_quantized_product(const QuantizedLayout& layout, std::int64_t m) {
  return m <= kMaxQuantizedTokens || is_hopper_product(layout, m);
}

// x of bf16 or f16 as it is.
void integer_linear(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w, const LinearOutput& out) {
  const Workspace::Scope scope(*ctx.workspace);
  const std::int64_t m = x.dim(0);
  if (!is_quantized_product(w.layout, m))
    return out.row_scales == nullptr ? dequantized_linear(ctx, x, w, out)
                                     : dequantized_scaled_linear(ctx, x, w, out);
  const View inputs = padded(ctx, x, w.layout);
  const auto in_passes = [&](std::int64_t max_rows, const auto& product) {
    for (std::int64_t row = 0; row < m; row += max_rows)
      product(ctx, inputs.rows(row, std::min(max_rows, m - row)), w, out.rows(row));
  };
  if (!is_hopper_product(w.layout, m)) return in_passes(kMaxGemmTokens, quantized_product);
  const std::int64_t num_passes = (m + kMaxHopperTokens - 1) / kMaxHopperTokens;
  in_passes((m + num_passes - 1) / num_passes, hopper_product);
}

// x rounded per group: twice as many rows, in slices of what is added up in scratch.
void group_rounded_linear(Ctx& ctx, const View& x, const QuantizedMatrixPointers& w,
                          const LinearOutput& out) {
  const std::int64_t n = w.layout.n;
  const std::int64_t rows_at_once = std::max<std::int64_t>(kMaxQuantizedTokens / 2, kSliceBytes / (8 * n));
  for (std::int64_t row = 0; row < x.dim(0); row += rows_at_once) {
    const Workspace::Scope scope(*ctx.workspace);
    const std::int64_t m = std::min(rows_at_once, x.dim(0) - row);
    const View parts = split_rounded(ctx, x.rows(row, m), w.layout.group_size);
    LinearOutput sums;
    sums.y = ctx.workspace->take(DType::f32, {2 * m, n}).as<float>();
    sums.stride = n;
    integer_linear(ctx, parts, w, sums);
    CUDA_CHECK(launch_add_slices(sums.y, 2, m, n, out.rows(row), stream_of(ctx)));
  }
}

void quantized_linear(Ctx& ctx, const View& x, const PackedMatrix& matrix, LinearOutput out) {
  if (x.dtype == DType::f32) return f32_linear(ctx, x, matrix, out);
  const Workspace::Scope scope(*ctx.workspace);
  const QuantizedMatrixPointers w = quantized_matrix(matrix);
  if (matrix.format.activations == Activations::int8_per_group) return group_rounded_linear(ctx, x, w, out);
  const View inputs =
      matrix.format.activations == Activations::int8_per_row ? rounded_per_row(ctx, x, out) : x;
  integer_linear(ctx, inputs, w, out);
}

}  // namespace

bool fits_gemv(const QuantizedLayout& layout, std::int64_t m, bool is_gated) {
  return m <= kMaxGemvTokens &&
         quantized_gemv_shared_bytes(layout, static_cast<int>(m), is_gated) <= card_limits().max_shared_bytes;
}

void linear_product(Ctx& ctx, const View& x, const PackedMatrix& w, const LinearOutput& out) {
  if (ctx.deterministic) return deterministic_linear(ctx, x, w, out);
  if (w.format.quant)
    quantized_linear(ctx, x, w, out);
  else
    float_linear(ctx, x, {w.data.view().data, w.n, false}, out);
}

bool rounded_product(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y) {
  const std::int64_t m = x.dim(0);
  if (x.dtype == DType::f32 || m <= kMaxGemvTokens) return false;
  if (!w.format.quant) return float_gemm(ctx, x, {w.data.view().data, w.n, false}, y, false);
  const QuantizedMatrixPointers quantized = quantized_matrix(w);
  if (w.format.activations != Activations::as_they_are || is_quantized_product(quantized.layout, m))
    return false;
  return for_dequantized(ctx, x.dtype, quantized, [&](const FloatWeights& part, std::int64_t row) {
    return float_gemm(ctx, x, part, y.columns(row, part.n), false);
  });
}

void linear(Ctx& ctx, const View& x, const PackedMatrix& w, const View& y, const LinearOptions& options) {
  if (x.dim(0) != 0) linear_product(ctx, x, w, output_of(y, options));
}

}  // namespace lmdeploy::ops::cuda
