// Rounding weights on trial.
#include <algorithm>

#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/launch.h"
#include "ops/cuda/weight_rounding_kernel.h"

namespace lmdeploy::ops::cuda {
namespace {

WeightRows rows_of(const View& w) {
  return {w.as<float>(), w.row_stride, w.dim(0), w.dim(1)};
}

GridRule rule_of(const RoundingOptions& options) {
  return {options.format.group_size, max_code(options.format), static_cast<float>(options.min_zero),
          options.symmetric, options.scale_dtype};
}

}  // namespace

void scaled_rounding_errors(Ctx& ctx, const View& w, const View& scales, const RoundingOptions& options,
                            const View& errors) {
  CUDA_CHECK(launch_scaled_rounding_errors(rows_of(w), scales.as<float>(), rule_of(options),
                                           {errors.data, errors.dtype, errors.row_stride}, stream_of(ctx)));
}

void choose_clipping(Ctx& ctx, const View& w, const View& grams, const RoundingOptions& options,
                     const View& choices) {
  static_assert(kMaxClips == kNumClips);
  CHECK(options.format.group_size <= kMaxClipGroup, "choose_clipping: groups of {}, {} at most",
        options.format.group_size, kMaxClipGroup);
  ClipArguments arguments{};
  arguments.w = rows_of(w);
  arguments.grams = grams.as<float>();
  arguments.grams_stride = grams.row_stride;
  for (int clip = 0; clip < kNumClips; clip++) arguments.shares[clip] = clip_share(clip);
  arguments.choices = choices.as<std::uint8_t>();
  arguments.choices_stride = choices.row_stride;
  CUDA_CHECK(launch_choose_clipping(arguments, rule_of(options), stream_of(ctx)));
}

}  // namespace lmdeploy::ops::cuda
