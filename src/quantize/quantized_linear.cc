#include "quantize/quantized_linear.h"

namespace lmdeploy {

QuantizedLinear make_quantized_linear(Ctx& ctx, std::int64_t n, std::int64_t k, const QuantFormat& format) {
  CHECK(format.bits == 4 || format.bits == 8, "{} bits", format.bits);
  CHECK(format.group_size > 0 && k % format.group_size == 0, "groups of {} in {} inputs", format.group_size,
        k);
  QuantizedLinear result;
  result.format = format;
  result.q = Tensor(*ctx.allocator, DType::u8, {n, k});
  result.scales = Tensor(*ctx.allocator, DType::f32, {n, k / format.group_size});
  result.zeros = Tensor(*ctx.allocator, DType::u8, {n, k / format.group_size});
  return result;
}

void dequantize(Ctx& ctx, const QuantizedLinear& source, const View& weight) {
  CHECK(weight.shape == source.q.shape(), "dequantize {} to {}", source.q.shape().to_string(),
        weight.shape.to_string());
  const std::int64_t k = weight.dim(1), group_size = source.format.group_size;
  ctx.pool->parallel_for(weight.dim(0), [&](std::int64_t row, int) {
    const std::uint8_t* codes = source.q.view().row<std::uint8_t>(row);
    float* values = weight.row<float>(row);
    for (std::int64_t first = 0; first < k; first += group_size) {
      const GroupGrid grid = source.grid(row, first / group_size);
      for (std::int64_t i = first; i < first + group_size; i++) values[i] = grid.value(codes[i]);
    }
  });
}

}  // namespace lmdeploy
