#pragma once
#include "quantize/contexts.h"
#include "quantize/quantized_linear.h"

namespace lmdeploy {

// Takes `weight`, [n, k] f32, from what was meant to what the file will hold, and returns how far apart their
// outputs are: |X (W - W')^T| / |X W^T|, Frobenius norms. x: [m, k] f32 in memory of contexts.compute();
// empty: |W - W'| / |W|.
double replace_by_rounded(Contexts& contexts, const View& weight, const QuantizedLinear& rounded,
                          const View& x);

// The share of the weights that lie beyond the ends of their group's grid, by more than rounding does.
double clipped_share(Ctx& ctx, const View& weight, const QuantizedLinear& rounded);

}  // namespace lmdeploy
