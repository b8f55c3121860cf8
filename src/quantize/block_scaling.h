#pragma once
#include <span>
#include <vector>

#include "model/linear_group.h"
#include "quantize/block_weights.h"

namespace lmdeploy {

// Whether the channels of the group's input can be scaled where they are made: by a norm, or by a linear
// layer with one row per channel.
bool can_scale(const LinearGroup& group, const BlockWeights& weights);

std::vector<View> weights_of(const LinearGroup& group, const BlockWeights& weights);  // [n, k] f32 each

// s = a^0.5 / w^0.5 (Xiao et al. 2022, section 4, eq. 4 with alpha 0.5): a: [k], the largest |x| of each
// input; w: the largest |w| of its column in any of the weights. 1 where either is 0.
std::vector<float> smooth_scales(Ctx& ctx, std::span<const float> input_max, std::span<const View> weights);

// Divides the channels where they are made and multiplies the group's columns. scales: [k]. A norm's weight
// is rounded to the file's dtype and the columns are multiplied by what that has really divided by, so that
// the layer computes what it did before; where a norm's weight is 0 nothing changes. Returns those divisors,
// [k].
std::vector<float> fold_scales(Ctx& ctx, const LinearGroup& group, std::vector<float> scales,
                               const BlockWeights& weights);

}  // namespace lmdeploy
