#pragma once
// Scales that move quantisation error away from inputs with large activations (Lin et al. 2023, section 3.2):
// x / s meets w * s, so that no product changes before rounding.
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/ctx.h"

namespace lmdeploy {

// Of each input: the mean over all rows of all `weights` of |w| over the largest |w| in its group.
std::vector<float> relative_weight_sizes(Ctx& ctx, std::span<const View> weights /* [n, k] f32 */,
                                         std::int64_t group_size);

// s = x^ratio / w^(1 - ratio), divided by sqrt(max s * min s). x: [k], how large each input is; w: [k],
// relative_weight_sizes. An input that is always 0, or overflows, keeps the scale 1: nothing is known of it.
std::vector<float> balanced_scales(std::span<const float> input_sizes, std::span<const float> weight_sizes,
                                   double ratio);

// LMDeploy's rule, which needs no search. input_max: [k], the largest |x| of each input.
inline std::vector<float> rule_scales(std::span<const float> input_max, std::span<const float> weight_sizes) {
  return balanced_scales(input_max, weight_sizes, 0.5);
}

void multiply_columns(Ctx& ctx, const View& matrix /* [n, k] f32, of ctx's device */,
                      std::span<const float> factors);
void divide_rows(Ctx& ctx, const View& weight /* [n, k] f32 */, std::span<const float> divisors);

}  // namespace lmdeploy
