#include "ops/cpu/cpu_ops.h"

namespace lmdeploy::ops::cpu {

void matmul(Ctx& ctx, const View& a, const View& b, const View& y, bool accumulate) {
  if (y.shape.num_elements() == 0) return;
  PackedMatrix packed = cpu::make_packed_matrix(ctx, {b.dtype}, b.dim(0), b.dim(1));
  cpu::pack_rows(ctx, b, packed, 0);
  cpu::linear(ctx, a, packed, y, {.bias = {}, .accumulate = accumulate});
}

}  // namespace lmdeploy::ops::cpu
