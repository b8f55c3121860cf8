#include "quantize/block_rounder.h"

#include <utility>

#include "ops/ops.h"
#include "quantize/awq_scales.h"
#include "quantize/awq_search.h"
#include "quantize/clipping.h"
#include "quantize/output_error.h"
#include "quantize/round_to_nearest.h"

namespace lmdeploy {
namespace {

// Of the values tried on SmolLM2 (damping 0.003 to 0.1, share 0.3 to 1) those with the least KL divergence.
constexpr FeedbackOptions kFeedback{.damping = 0.1, .act_order = true};
constexpr float kDriftShare = 0.5F;

Tensor as_floats(Ctx& ctx, const View& rows) {
  Tensor result(*ctx.allocator, DType::f32, rows.shape);
  ops::cast(ctx, rows, result);
  return result;
}

// Evenly spread rows: more would cost the search time and gain it nothing.
View sampled(const View& rows) {
  constexpr std::int64_t kMaxRows = 1024;
  const std::int64_t every = (rows.dim(0) + kMaxRows - 1) / kMaxRows;
  return {rows.data, rows.dtype, {rows.dim(0) / every, rows.dim(1)}, every * rows.row_stride};
}

}  // namespace

BlockRounder::BlockRounder(Contexts& contexts, const BlockSource& source, const Recipe& recipe,
                           std::int64_t layer_idx)
    : contexts_(contexts), source_(source), recipe_(recipe), weights_(contexts.host(), source, layer_idx) {}

void BlockRounder::scale(CalibrationProbe& probe) {
  for (const LinearGroup& group : source_.architecture.linear_groups) {
    if (!is_scaled(group)) continue;
    InputProbe& input = probe.input(group.input);
    const std::vector<float> divisors =
        fold_scales(contexts_.host(), group, scales_of(group, input), weights_);
    scaled_[group.input] = divisors;
  }
}

void BlockRounder::round_to_nearest(CalibrationProbe* probe) {
  for (const LinearGroup& group : source_.architecture.linear_groups) {
    Inputs inputs;
    if (probe != nullptr) inputs = inputs_of(group, probe->input(group.input));
    for (const std::string& name : group.linears) round_linear(name, inputs);
  }
}

void BlockRounder::round_by_gptq(const LinearGroup& group, GptqInputs read) {
  Ctx &host = contexts_.host(), &compute = contexts_.compute();
  Inputs inputs;
  inputs.statistics = &read.probe.statistics();
  inputs.kept = as_floats(compute, read.probe.kept_rows());
  inputs.feedback = make_error_feedback(host, OnHost(compute, read.gram->matrix()).view(), kFeedback);
  read.gram.reset();
  const OnHost drift(compute, read.drift.matrix());
  for (const std::string& name : group.linears) {
    correct_drift(host, weights_.weight(name), drift.view(), *inputs.feedback, kDriftShare);
    round_linear(name, inputs);
  }
}

QuantizedBlock BlockRounder::take() {
  keep_changed_makers();
  return std::move(result_);
}

bool BlockRounder::is_scaled(const LinearGroup& group) const {
  if (!can_scale(group, weights_)) return false;
  return recipe_.scaling != Recipe::Scaling::smooth || group.maker == LinearGroup::Maker::norm;
}

std::vector<float> BlockRounder::scales_of(const LinearGroup& group, const InputProbe& input) const {
  const std::vector<View> weights = weights_of(group, weights_);
  const std::vector<float> peaks = input.statistics().abs_max();
  if (recipe_.scaling == Recipe::Scaling::smooth) return smooth_scales(contexts_.host(), peaks, weights);
  if (recipe_.scaling == Recipe::Scaling::search) {
    const std::vector<float> means = input.statistics().abs_mean();
    return search_scales(contexts_, {weights, sampled(input.kept_rows()), means},
                         {recipe_.rounding_options(std::ssize(peaks))});
  }
  return rule_scales(
      peaks, relative_weight_sizes(contexts_.host(), weights, recipe_.group_size_of(std::ssize(peaks))));
}

BlockRounder::Inputs BlockRounder::inputs_of(const LinearGroup& group, const InputProbe& probe) const {
  Ctx& compute = contexts_.compute();
  Inputs inputs;
  inputs.statistics = &probe.statistics();
  inputs.kept = as_floats(compute, probe.kept_rows());
  if (const auto found = scaled_.find(group.input); found != scaled_.end()) {
    std::vector<float> factors;
    for (const float divisor : found->second) factors.push_back(1 / divisor);
    multiply_columns(compute, inputs.kept, factors);
  }
  const std::int64_t group_size = recipe_.group_size_of(inputs.kept.shape()[1]);
  if (is_clipped(group, group_size)) inputs.grams = group_grams(compute, inputs.kept, group_size);
  return inputs;
}

// Clipping belongs to the search; before GPTQ it gains nothing. Of queries and keys, whose products are not
// linear in either, the ranges stay (as AutoAWQ leaves them), and so do those of the values beside them.
bool BlockRounder::is_clipped(const LinearGroup& group, std::int64_t group_size) const {
  constexpr std::int64_t kMaxGroupSize = 256;  // clip_grids' cost grows with its square
  return recipe_.scaling == Recipe::Scaling::search && group.input != LinearInput::qkv &&
         group_size <= kMaxGroupSize;
}

QuantizedLinear BlockRounder::rounded(const View& weight, const Inputs& inputs) const {
  Ctx& host = contexts_.host();
  const RoundingOptions options = recipe_.rounding_options(weight.dim(1));
  QuantizedLinear result = lmdeploy::round_to_nearest(host, weight, options);
  if (inputs.feedback) round_with_feedback(host, weight, *inputs.feedback, result);
  if (inputs.grams.empty()) return result;
  clip_grids(contexts_, weight, inputs.grams, options, result);
  round_to_grids(host, weight, result);
  return result;
}

void BlockRounder::round_linear(const std::string& name, const Inputs& inputs) {
  const View weight = weights_.weight(name);
  const QuantizedLinear linear = rounded(weight, inputs);
  LinearReport report;
  report.name = weights_.prefix() + name;
  report.clipped = clipped_share(contexts_.host(), weight, linear);
  report.relative_error = replace_by_rounded(contexts_, weight, linear, inputs.kept);
  if (inputs.statistics != nullptr) {
    report.zero_inputs = inputs.statistics->num_zero_channels();
    report.not_finite = inputs.statistics->num_not_finite();
  }
  result_.report.linears.push_back(std::move(report));
  for (FileTensor& tensor : file_tensors(contexts_.host(), recipe_, weights_.prefix() + name, linear))
    result_.tensors.push_back(std::move(tensor));
}

// Norms, and biases of linear layers, that were divided.
void BlockRounder::keep_changed_makers() {
  for (const LinearGroup& group : source_.architecture.linear_groups) {
    if (!scaled_.contains(group.input)) continue;
    const std::string& maker = group.maker_name;
    const DType dtype = weights_.file_dtype(maker);
    const bool is_norm = group.maker == LinearGroup::Maker::norm;
    const View changed = is_norm ? weights_.weight(maker) : weights_.find_bias(maker);
    if (changed.empty()) continue;
    result_.tensors.push_back(converted_tensor(
        contexts_.host(), weights_.prefix() + maker + (is_norm ? ".weight" : ".bias"), changed, dtype));
  }
}

}  // namespace lmdeploy
