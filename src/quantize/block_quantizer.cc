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

BlockQuantizer::BlockQuantizer(Contexts& contexts, const BlockSource& source, const Recipe& recipe,
                               const StreamShape& shape, std::function<void()> after_sample)
    : contexts_(contexts),
      source_(source),
      recipe_(recipe),
      shape_(shape),
      after_sample_(std::move(after_sample)) {}

// The samples through the layer as it is in the 16-bit model.
std::unique_ptr<CalibrationProbe> BlockQuantizer::run_full(std::int64_t layer_idx, BlockStreams& streams) {
  auto probe =
      std::make_unique<CalibrationProbe>(contexts_.compute(), source_.config, source_.dtype, num_tokens());
  const auto see = [&](LinearInput which, const View& x) {
    probe->input(which).see(x);
    return true;
  };
  BlockRunner(contexts_.compute(), source_, layer_idx, shape_)
      .run(*streams.full_in, pointer(streams.full_out), see, after_sample_);
  return probe;
}

// Of what each linear layer reads.
QuantizedBlock BlockQuantizer::statistics(std::int64_t layer_idx, CalibrationProbe& probe) const {
  QuantizedBlock result;
  for (const LinearGroup& group : source_.architecture.linear_groups) {
    const CalibrationStatistics& seen = probe.input(group.input).statistics();
    for (const std::string& linear : group.linears) {
      const std::string name = layer_prefix(layer_idx) + linear;
      result.tensors.push_back({name + ".input_abs_max", vector_tensor(contexts_.host(), seen.abs_max())});
      result.tensors.push_back({name + ".input_abs_mean", vector_tensor(contexts_.host(), seen.abs_mean())});
      result.report.linears.push_back({name, 0, 0, seen.num_zero_channels(), seen.num_not_finite()});
    }
  }
  return result;
}

QuantizedBlock BlockQuantizer::quantize(std::int64_t layer_idx, BlockStreams& streams) {
  const auto start = std::chrono::steady_clock::now();
  std::unique_ptr<CalibrationProbe> full;
  if (streams.full_in) full = run_full(layer_idx, streams);
  QuantizedBlock result = recipe_.rounding == Recipe::Rounding::nothing
                              ? statistics(layer_idx, *full)
                              : round(layer_idx, std::move(full), streams);
  result.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

QuantizedBlock BlockQuantizer::round(std::int64_t layer_idx, std::unique_ptr<CalibrationProbe> full,
                                     BlockStreams& streams) {
  BlockRounder block(contexts_, source_, recipe_, layer_idx);
  if (full && recipe_.scaling != Recipe::Scaling::none) block.scale(*full);
  if (recipe_.rounding != Recipe::Rounding::gptq) {
    block.round_to_nearest(full.get());
    return block.take();
  }
  full.reset();
  round_by_gptq(layer_idx, block, streams);
  return block.take();
}

// Group after group: what the layers of one read comes from those that were rounded before it.
void BlockQuantizer::round_by_gptq(std::int64_t layer_idx, BlockRounder& block, BlockStreams& streams) {
  BlockRunner exact(contexts_.compute(), source_, layer_idx,
                    shape_);  // a copy of the weights: scaled, not rounded yet
  for (const LinearGroup& group : source_.architecture.linear_groups)
    block.round_by_gptq(group, gather(layer_idx, group.input, exact, streams));
  if (streams.quantized_out)
    BlockRunner(contexts_.compute(), source_, layer_idx, shape_)
        .run(*streams.quantized_in, pointer(streams.quantized_out), {}, after_sample_);
}

// The same samples through the layer of the 16-bit model and through what the checkpoint has of it by now.
GptqInputs BlockQuantizer::gather(std::int64_t layer_idx, LinearInput input, BlockRunner& exact,
                                  const BlockStreams& streams) {
  Ctx& ctx = contexts_.compute();
  const std::int64_t k = num_channels(source_.config, input);
  GptqInputs result(ctx, k, source_.dtype, num_tokens());
  BlockRunner now(ctx, source_, layer_idx, shape_);
  const Workspace::Scope scope(*ctx.workspace);
  const View exact_rows = ctx.workspace->take(source_.dtype, {shape_.seqlen, k});
  const View rows = ctx.workspace->take(source_.dtype, {shape_.seqlen, k});
  for (std::int64_t sample_idx = 0; sample_idx < shape_.num_samples; sample_idx++) {
    exact.read_input(*streams.full_in, sample_idx, input, exact_rows);
    now.read_input(*streams.quantized_in, sample_idx, input, rows);
    result.add(exact_rows, rows);
    after_sample_();
  }
  return result;
}

}  // namespace lmdeploy
