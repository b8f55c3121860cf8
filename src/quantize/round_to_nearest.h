#pragma once
#include "quantize/quantized_linear.h"

namespace lmdeploy {

// Every weight to the nearest point of its group's grid, which spans the group's own range: no data needed.
// weight: [n, k] f32. Throws Error where a weight is not finite.
QuantizedLinear round_to_nearest(Ctx& ctx, const View& weight, const RoundingOptions& options);

// The same with grids that are given: `target` holds scales and zeros, and gets its codes.
void round_to_grids(Ctx& ctx, const View& weight, QuantizedLinear& target);

}  // namespace lmdeploy
