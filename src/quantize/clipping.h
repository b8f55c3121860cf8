#pragma once
#include <cstdint>

#include "quantize/contexts.h"
#include "quantize/quantized_linear.h"

namespace lmdeploy {

// Products of each input with the inputs of its group, summed over a sample of inputs, [m, k] f32, bf16 or
// f16: [k, group_size] f32, row i for input i. Both in memory of ctx's device.
Tensor group_grams(Ctx& ctx, const View& inputs, std::int64_t group_size);

// Shrinks the range that a group's grid spans, down to a half, where that lowers the squared error of what
// the group adds to its output (Lin et al. 2023; section 3.2 leaves the clipping to AutoAWQ's code). Sets
// scales and zeros of `target`; its codes are as before. Costs about 20 n k group_size operations. weight: in
// host memory.
void clip_grids(Contexts& contexts, const View& weight /* [n, k] f32 */, const View& group_grams,
                const RoundingOptions& options, QuantizedLinear& target);

}  // namespace lmdeploy
