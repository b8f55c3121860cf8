#include "quantize/pipeline.h"

#include <future>
#include <utility>

#include "base/error.h"
#include "base/format_bytes.h"
#include "quantize/device_memory.h"
#include "quantize/finished_layer.h"
#include "quantize/sample_streams.h"

namespace lmdeploy {
namespace {

// One call of quantize_layers.
class Pipeline {
 public:
  Pipeline(Ctx& ctx, const BlockSource& source, const Recipe& recipe, const CalibrationSamples& samples,
           WorkFolder& work, const PipelineCallback& progress)
      : contexts_(ctx),
        source_(source),
        recipe_(recipe),
        samples_(samples),
        work_(work),
        progress_(progress),
        streams_(work, stream_shape(source, samples), samples.num_samples > 0,
                 recipe.needs_quantized_stream()) {
    state_.num_layers = source.config.num_hidden_layers;
    state_.total = state_.num_layers * steps_per_layer();
  }

  void run(std::int64_t device_bytes) {
    if (device_bytes > 0) place_samples(device_bytes);
    state_.layer_idx = work_.num_finished_layers();
    state_.done = state_.layer_idx * steps_per_layer();
    prepare_samples();
    BlockQuantizer quantizer(contexts_, source_, recipe_, stream_shape(source_, samples_), [&] {
      ++state_.done;
      progress_(state_);
    });
    // A layer goes to the disk while the next one is computed. (Left by an exception, too, the last one
    // does.)
    std::future<void> writing;
    while (state_.layer_idx < state_.num_layers) {
      BlockStreams streams = open(state_.layer_idx);
      QuantizedBlock block = quantizer.quantize(state_.layer_idx, streams);
      commit(streams);
      if (writing.valid()) writing.get();
      writing =
          std::async(std::launch::async, [this, block = std::move(block)] { work_.finish_layer(block); });
      state_.done = (state_.layer_idx + 1) * steps_per_layer();
      progress_(state_);
      state_.layer_idx++;
    }
    if (writing.valid()) writing.get();
  }

 private:
  // How often each sample is taken to each layer, in all.
  std::int64_t steps_per_layer() const {
    const auto num_groups = std::ssize(source_.architecture.linear_groups);
    const std::int64_t num_passes =
        (samples_.num_samples > 0 ? 1 : 0) + (recipe_.needs_quantized_stream() ? num_groups + 1 : 0);
    return std::max<std::int64_t>(1, num_passes * samples_.num_samples);
  }

  void place_samples(std::int64_t device_bytes) {
    const std::int64_t work = layer_work_bytes(source_, recipe_, stream_shape(source_, samples_));
    if (work > device_bytes)
      throw Error(
          fmt::format("quantising a layer of this model takes about {} of the card's memory; {} may be taken",
                      format_bytes(work), format_bytes(device_bytes)),
          "End what else uses the card (nvidia-smi lists it), raise --memory-limit if it was given, lower "
          "--calib-seqlen, or use --device cpu.");
    if (work + streams_.memory_bytes() <= device_bytes) streams_.keep_in_memory(contexts_.compute());
  }

  // Brings the samples before the first layer that is not finished.
  void prepare_samples() {
    const std::int64_t num_finished = state_.layer_idx;
    if (streams_.empty() || num_finished == state_.num_layers) return;
    if (num_finished > 0 && !streams_.in_memory() && streams_.has_files(num_finished)) return;
    streams_.embed(contexts_.compute(), source_, samples_);
    for (std::int64_t i = 0; i < num_finished; i++) repeat(i);
  }

  // Takes the samples through a finished layer: those of the 16-bit model through it as it was.
  void repeat(std::int64_t layer_idx) {
    BlockStreams streams = open(layer_idx);
    const StreamShape shape = stream_shape(source_, samples_);
    const auto show = [&] { progress_(state_); };
    if (streams.full_in)
      BlockRunner(contexts_.compute(), source_, layer_idx, shape)
          .run(*streams.full_in, &*streams.full_out, {}, show);
    if (streams.quantized_in) {
      const FinishedLayer rounded(contexts_, source_, recipe_, work_, layer_idx);
      BlockRunner(contexts_.compute(), source_, layer_idx, shape)
          .run(*streams.quantized_in, &*streams.quantized_out, {}, show);
    }
    commit(streams);
    work_.forget_samples(layer_idx);
  }

  BlockStreams open(std::int64_t layer_idx) const {
    return streams_.open(layer_idx, layer_idx + 1 == state_.num_layers);
  }

  static void commit(BlockStreams& streams) {
    if (streams.full_out) streams.full_out->commit();
    if (streams.quantized_out) streams.quantized_out->commit();
  }

  Contexts contexts_;
  const BlockSource& source_;
  const Recipe& recipe_;
  const CalibrationSamples& samples_;
  WorkFolder& work_;
  const PipelineCallback& progress_;
  SampleStreams streams_;
  PipelineProgress state_;
};

}  // namespace

StreamShape stream_shape(const BlockSource& source, const CalibrationSamples& samples) {
  return {samples.num_samples, samples.seqlen, source.config.hidden_size};
}

void quantize_layers(Ctx& ctx, const BlockSource& source, const Recipe& recipe,
                     const CalibrationSamples& samples, WorkFolder& work, const PipelineCallback& progress,
                     const PipelineOptions& options) {
  Pipeline(ctx, source, recipe, samples, work, progress).run(options.device_bytes);
}

}  // namespace lmdeploy
