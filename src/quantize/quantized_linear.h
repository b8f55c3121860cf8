#pragma once
#include <cstdint>

#include "quant/group_grid.h"
#include "quant/quantized_rows.h"
#include "tensor/ctx.h"

namespace lmdeploy {

// A linear layer after rounding: owns what QuantizedRows views.
struct QuantizedLinear {
  QuantFormat format;
  Tensor q;       // [n, k] u8
  Tensor scales;  // [n, k / group_size] f32, of values that the file's dtype holds
  Tensor zeros;   // [n, k / group_size] u8

  QuantizedRows view() const { return {q, scales, zeros}; }

  GroupGrid grid(std::int64_t row, std::int64_t group) const {
    return {scales.view().row<float>(row)[group],
            static_cast<float>(zeros.view().row<std::uint8_t>(row)[group]), max_code(format)};
  }
  void set_grid(std::int64_t row, std::int64_t group, const GroupGrid& grid) {
    scales.view().row<float>(row)[group] = grid.scale;
    zeros.view().row<std::uint8_t>(row)[group] = static_cast<std::uint8_t>(grid.zero);
  }
};

// Uninitialised memory for an [n, k] layer, whose k the group size divides.
QuantizedLinear make_quantized_linear(Ctx& ctx, std::int64_t n, std::int64_t k, const QuantFormat& format);

void dequantize(Ctx& ctx, const QuantizedLinear& source, const View& weight /* [n, k] f32 */);

}  // namespace lmdeploy
