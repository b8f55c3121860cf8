#include "ops/packed_matrix.h"

#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/dispatch.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {
namespace {

void check_format(const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  CHECK(format.dtype == DType::f32 || format.dtype == DType::bf16 || format.dtype == DType::f16,
        "packed matrix: no {}", dtype_name(format.dtype));
  CHECK(n > 0 && k > 0, "packed matrix: [{}, {}]", n, k);
  if (!format.quant) return;
  const auto& [bits, group_size, scale_dtype, code] = *format.quant;
  CHECK(bits == 4 || bits == 8, "packed matrix: {} bits", bits);
  CHECK(group_size > 0 && k % group_size == 0, "packed matrix: groups of {} inputs of {}", group_size, k);
  CHECK(scale_dtype == DType::f32 || scale_dtype == DType::f16 || scale_dtype == DType::bf16,
        "packed matrix: scales of {}", dtype_name(scale_dtype));
  if (code == WeightCode::integer) return;
  CHECK(bits == 8, "packed matrix: floats of {} bits", bits);
  CHECK(format.activations == Activations::as_they_are, "packed matrix: rounded x against floats of 8 bits");
}

void check_rows(const char* op, const PackedMatrix& matrix, std::int64_t first_row, std::int64_t num_rows) {
  CHECK(first_row >= 0 && first_row + num_rows <= matrix.n, "{}: rows [{}, +{}) of {}", op, first_row,
        num_rows, matrix.n);
}

// What make_packed_matrix takes, taken and nothing else.
PackedMatrix plan_packed_matrix(Ctx& ctx, const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  const std::int64_t bytes = packed_matrix_bytes(ctx.device, format, n, k);
  return {format, n, k, Tensor(*ctx.allocator, DType::u8, {bytes}), bytes};
}

}  // namespace

std::int64_t packed_matrix_bytes(Device device, const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  check_format(format, n, k);
  if constexpr (kHasCuda)
    if (device == Device::cuda) return cuda::packed_matrix_bytes(format, n, k);
  return cpu::packed_matrix_bytes(format, n, k);
}

PackedMatrix make_packed_matrix(Ctx& ctx, const MatrixFormat& format, std::int64_t n, std::int64_t k) {
  check_device(ctx, "make_packed_matrix");
  check_format(format, n, k);
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda)
      return only_plans(ctx) ? plan_packed_matrix(ctx, format, n, k)
                             : cuda::make_packed_matrix(ctx, format, n, k);
  return cpu::make_packed_matrix(ctx, format, n, k);
}

void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  check_device(ctx, "pack_rows");
  CHECK(!matrix.format.quant, "pack_rows: the matrix holds integers");
  ShapeMatcher match("pack_rows");
  match.bind("matrix", 'k', matrix.k);
  match("source", source, "rk", {DType::f32, DType::bf16, DType::f16});
  check_rows("pack_rows", matrix, first_row, match['r']);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::pack_rows(ctx, source, matrix, first_row);
  cpu::pack_rows(ctx, source, matrix, first_row);
}

void pack_quantized_rows(Ctx& ctx, const QuantizedRows& source, PackedMatrix& matrix,
                         std::int64_t first_row) {
  check_device(ctx, "pack_quantized_rows");
  CHECK(matrix.format.quant, "pack_quantized_rows: the matrix holds floats");
  ShapeMatcher match("pack_quantized_rows");
  match.bind("matrix", 'k', matrix.k);
  match.bind("groups", 'g', matrix.k / matrix.format.quant->group_size);
  match("q", source.q, "rk", {DType::u8});
  match("scales", source.scales, "rg", {DType::f32});
  if (matrix.format.quant->code == WeightCode::integer) match("zeros", source.zeros, "rg", {DType::u8});
  check_rows("pack_quantized_rows", matrix, first_row, match['r']);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::pack_quantized_rows(ctx, source, matrix, first_row);
  cpu::pack_quantized_rows(ctx, source, matrix, first_row);
}

void quantize_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  check_device(ctx, "quantize_rows");
  CHECK(matrix.format.quant && matrix.format.quant->code == WeightCode::integer,
        "quantize_rows: the matrix holds floats");
  ShapeMatcher match("quantize_rows");
  match.bind("matrix", 'k', matrix.k);
  match("source", source, "rk", {DType::f32, DType::bf16, DType::f16});
  check_rows("quantize_rows", matrix, first_row, match['r']);
  if (only_plans(ctx)) return;
  if constexpr (kHasCuda)
    if (ctx.device == Device::cuda) return cuda::quantize_rows(ctx, source, matrix, first_row);
  cpu::quantize_rows(ctx, source, matrix, first_row);
}

}  // namespace lmdeploy::ops
