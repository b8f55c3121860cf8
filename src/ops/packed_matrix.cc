#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/ops.h"
#include "ops/shape_matcher.h"

namespace lmdeploy::ops {

PackedMatrix make_packed_matrix(Ctx& ctx, DType dtype, std::int64_t n, std::int64_t k) {
  check_device(ctx, "make_packed_matrix");
  CHECK(dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16, "make_packed_matrix: no {}",
        dtype_name(dtype));
  CHECK(n > 0 && k > 0, "make_packed_matrix: [{}, {}]", n, k);
  return cpu::make_packed_matrix(ctx, dtype, n, k);
}

void pack_rows(Ctx& ctx, const View& source, PackedMatrix& matrix, std::int64_t first_row) {
  check_device(ctx, "pack_rows");
  ShapeMatcher match("pack_rows");
  match.bind("matrix", 'k', matrix.k);
  match("source", source, "rk", {DType::f32, DType::bf16, DType::f16});
  CHECK(first_row >= 0 && first_row + match['r'] <= matrix.n, "pack_rows: rows [{}, +{}) of {}", first_row,
        match['r'], matrix.n);
  cpu::pack_rows(ctx, source, matrix, first_row);
}

}  // namespace lmdeploy::ops
