#include "quantize/block_quantizer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "model/decoder_reader.h"

namespace lmdeploy {
namespace {

Tensor vector_tensor(Ctx& ctx, const std::vector<float>& values) {
  Tensor result(*ctx.allocator, DType::f32, {std::ssize(values)});
  std::copy(values.begin(), values.end(), result.view().as<float>());
  return result;
}

StreamWriter* pointer(std::optional<StreamWriter>& writer) {
  return writer ? &*writer : nullptr;
}

}  // namespace

BlockQuantizer::BlockQuantizer(Ctx& ctx, const BlockSource& source, const Recipe& recipe,
                               const StreamShape& shape, std::function<void()> after_sample)
    : ctx_(ctx), source_(source), recipe_(recipe), shape_(shape), after_sample_(std::move(after_sample)) {}

std::unique_ptr<CalibrationProbe> BlockQuantizer::run(std::int64_t layer_idx, const StreamReader& input,
                                                      StreamWriter* output, bool gram) {
  ProbeOptions options;
  options.gram = gram;
  options.num_tokens = shape_.num_samples * shape_.seqlen;
  auto probe = std::make_unique<CalibrationProbe>(ctx_, source_.config, source_.dtype, options);
  BlockRunner(ctx_, source_, layer_idx, shape_)
      .run(input, output, [&](LinearInput which, const View& x) { probe->see(which, x); }, after_sample_);
  return probe;
}

// Of what each linear layer reads.
QuantizedBlock BlockQuantizer::statistics(std::int64_t layer_idx, CalibrationProbe& probe) const {
  QuantizedBlock result;
  for (const LinearGroup& group : source_.architecture.linear_groups) {
    const CalibrationStatistics& seen = probe.input(group.input).statistics;
    for (const std::string& linear : group.linears) {
      const std::string name = layer_prefix(layer_idx) + linear;
      result.tensors.push_back({name + ".input_abs_max", vector_tensor(ctx_, seen.abs_max())});
      result.tensors.push_back({name + ".input_abs_mean", vector_tensor(ctx_, seen.abs_mean())});
      result.report.linears.push_back({name, 0, 0, seen.num_zero_channels(), seen.num_not_finite()});
    }
  }
  return result;
}

QuantizedBlock BlockQuantizer::quantize(std::int64_t layer_idx, BlockStreams& streams) {
  const auto start = std::chrono::steady_clock::now();
  std::unique_ptr<CalibrationProbe> full;
  if (streams.full_in) full = run(layer_idx, *streams.full_in, pointer(streams.full_out), false);
  QuantizedBlock result = recipe_.rounding == Recipe::Rounding::nothing
                              ? statistics(layer_idx, *full)
                              : round(layer_idx, std::move(full), streams);
  result.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

QuantizedBlock BlockQuantizer::round(std::int64_t layer_idx, std::unique_ptr<CalibrationProbe> full,
                                     BlockStreams& streams) {
  BlockRounder block(ctx_, source_, recipe_, layer_idx);
  if (full && recipe_.scaling != Recipe::Scaling::none) block.scale(*full);
  if (!streams.quantized_in) {
    block.round(full.get(), false);
    return block.take();
  }
  full.reset();
  block.round(run(layer_idx, *streams.quantized_in, nullptr, true).get(), true);
  if (streams.quantized_out)  // the checkpoint now has what was rounded
    BlockRunner(ctx_, source_, layer_idx, shape_)
        .run(*streams.quantized_in, pointer(streams.quantized_out), {}, after_sample_);
  return block.take();
}

}  // namespace lmdeploy
