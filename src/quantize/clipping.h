#pragma once
#include <cstdint>

#include "quantize/quantized_linear.h"

namespace lmdeploy {

// Products of each input with the inputs of its group, summed over a sample of inputs, [m, k] f32, bf16 or
// f16: [k, group_size] f32, row i for input i. Both in memory of ctx's device.
Tensor group_grams(Ctx& ctx, const View& inputs, std::int64_t group_size);

// Shrinks the range that a group's grid spans, down to a half, where that lowers the squared error of what
// the group adds to its output (Lin et al. 2023; section 3.2 leaves the clipping to AutoAWQ's code). Sets
// scales and zeros of `target`; its codes are as before. Costs about 10 n k group_size operations.
void clip_grids(Ctx& ctx, const View& weight /* [n, k] f32 */, const View& group_grams,
                const RoundingOptions& options, QuantizedLinear& target);

}  // namespace lmdeploy
