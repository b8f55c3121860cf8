// Rounding weights on trial.
#include <algorithm>
#include <array>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

// What rounding w * s and dividing by s again makes of one group, less the group.
void rounding_errors(std::span<const float> weights, const float* scales, const RoundingOptions& options,
                     float* errors) {
  for (std::size_t i = 0; i < weights.size(); i++) errors[i] = weights[i] * scales[i];
  const GroupGrid grid = fit_grid({errors, weights.size()}, options);
  for (std::size_t i = 0; i < weights.size(); i++)
    errors[i] = grid.value(grid.code(errors[i])) / scales[i] - weights[i];
}

// e G e^T over one group; product: scratch of its size. grams: [group_size, group_size] f32
float group_error(std::span<const float> errors, const View& grams, std::span<float> product) {
  std::fill(product.begin(), product.end(), 0.0F);
  for (std::size_t i = 0; i < errors.size(); i++) {
    const float* row = grams.row<float>(static_cast<std::int64_t>(i));
    for (std::size_t j = 0; j < errors.size(); j++) product[j] += errors[i] * row[j];
  }
  float sum = 0;
  for (std::size_t j = 0; j < errors.size(); j++) sum += product[j] * errors[j];
  return sum;
}

int best_clip(std::span<const float> weights, const View& grams, const RoundingOptions& options) {
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  std::vector<float> errors(weights.size()), product(weights.size());
  int best = 0;
  float least = 0;
  for (int clip = 0; clip < kNumClips; clip++) {
    const GroupGrid grid = make_grid(*low * clip_share(clip), *high * clip_share(clip), options);
    for (std::size_t i = 0; i < weights.size(); i++)
      errors[i] = grid.value(grid.code(weights[i])) - weights[i];
    const float error = group_error(errors, grams, product);
    if (clip == 0 || error < least) {
      least = error;
      best = clip;
    }
  }
  return best;
}

// f(row, first input of the group) for every group, on all threads.
template <class F>
void for_groups(Ctx& ctx, const View& w, std::int64_t group_size, const F& f) {
  ctx.pool->parallel_for(w.dim(0), [&](std::int64_t row, int) {
    for (std::int64_t first = 0; first < w.dim(1); first += group_size) f(row, first);
  });
}

template <class T>
void narrow(const std::vector<float>& errors, T* to) {
  for (const float error : errors) *to++ = from_float<T>(error);
}

}  // namespace

void scaled_rounding_errors(Ctx& ctx, const View& w, const View& scales, const RoundingOptions& options,
                            const View& errors) {
  const std::int64_t group_size = options.format.group_size;
  for_groups(ctx, w, group_size, [&](std::int64_t row, std::int64_t first) {
    const std::span<const float> weights(w.row<float>(row) + first, static_cast<std::size_t>(group_size));
    std::vector<float> wide(weights.size());
    rounding_errors(weights, scales.as<float>() + first, options, wide.data());
    if (errors.dtype == DType::f32)
      narrow(wide, errors.row<float>(row) + first);
    else if (errors.dtype == DType::bf16)
      narrow(wide, errors.row<bf16_t>(row) + first);
    else
      narrow(wide, errors.row<f16_t>(row) + first);
  });
}

void choose_clipping(Ctx& ctx, const View& w, const View& grams, const RoundingOptions& options,
                     const View& choices) {
  const std::int64_t group_size = options.format.group_size;
  for_groups(ctx, w, group_size, [&](std::int64_t row, std::int64_t first) {
    const std::span<const float> weights(w.row<float>(row) + first, static_cast<std::size_t>(group_size));
    choices.row<std::uint8_t>(row)[first / group_size] =
        static_cast<std::uint8_t>(best_clip(weights, grams.rows(first, group_size), options));
  });
}

}  // namespace lmdeploy::ops::cpu
