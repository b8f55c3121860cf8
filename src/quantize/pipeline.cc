#include "quantize/pipeline.h"

namespace lmdeploy {
namespace {

using Stream = WorkFolder::Stream;

class Pipeline {
 public:
  Pipeline(Ctx& ctx, const BlockSource& source, const Recipe& recipe, const CalibrationSamples& samples,
           WorkFolder& work)
      : ctx_(ctx),
        source_(source),
        samples_(samples),
        work_(work),
        shape_(stream_shape(source, samples)),
        uses_full_(samples.num_samples > 0),
        uses_quantized_(recipe.needs_quantized_stream()) {}

  // How often each sample is taken to each layer.
  std::int64_t num_passes() const {
    const auto num_groups = std::ssize(source_.architecture.linear_groups);
    return (uses_full_ ? 1 : 0) + (uses_quantized_ ? num_groups + 1 : 0);
  }

  void embed() {
    if (uses_full_) embed(Stream::full);
    if (uses_quantized_) embed(Stream::quantized);
  }

  BlockStreams open(std::int64_t layer_idx) {
    const bool is_last = layer_idx + 1 == source_.config.num_hidden_layers;
    BlockStreams streams;
    if (uses_full_) open(Stream::full, layer_idx, is_last, streams.full_in, streams.full_out);
    if (uses_quantized_)
      open(Stream::quantized, layer_idx, is_last, streams.quantized_in, streams.quantized_out);
    return streams;
  }

 private:
  void embed(Stream stream) {
    StreamWriter writer(work_.stream_file(stream, 0), shape_);
    write_embeddings(ctx_, source_, samples_, writer);
    writer.commit();
  }

  void open(Stream stream, std::int64_t layer_idx, bool is_last, std::optional<StreamReader>& in,
            std::optional<StreamWriter>& out) {
    in.emplace(work_.stream_file(stream, layer_idx), shape_);
    if (!is_last) out.emplace(work_.stream_file(stream, layer_idx + 1), shape_);
  }

  Ctx& ctx_;
  const BlockSource& source_;
  const CalibrationSamples& samples_;
  WorkFolder& work_;
  StreamShape shape_;
  bool uses_full_, uses_quantized_;
};

}  // namespace

StreamShape stream_shape(const BlockSource& source, const CalibrationSamples& samples) {
  return {samples.num_samples, samples.seqlen, source.config.hidden_size};
}

void quantize_layers(Ctx& ctx, const BlockSource& source, const Recipe& recipe,
                     const CalibrationSamples& samples, WorkFolder& work, const PipelineCallback& progress) {
  Pipeline pipeline(ctx, source, recipe, samples, work);
  const std::int64_t num_layers = source.config.num_hidden_layers;
  const std::int64_t steps = std::max<std::int64_t>(1, pipeline.num_passes() * samples.num_samples);
  PipelineProgress state{work.num_finished_layers(), num_layers, work.num_finished_layers() * steps,
                         num_layers * steps};
  if (state.layer_idx == 0) pipeline.embed();
  BlockQuantizer quantizer(ctx, source, recipe, stream_shape(source, samples), [&] {
    ++state.done;
    progress(state);
  });
  for (; state.layer_idx < num_layers; state.layer_idx++) {
    BlockStreams streams = pipeline.open(state.layer_idx);
    const QuantizedBlock block = quantizer.quantize(state.layer_idx, streams);
    if (streams.full_out) streams.full_out->commit();
    if (streams.quantized_out) streams.quantized_out->commit();
    work.finish_layer(block);
    state.done = (state.layer_idx + 1) * steps;
    progress(state);
  }
}

}  // namespace lmdeploy
