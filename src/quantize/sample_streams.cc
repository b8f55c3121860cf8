#include "quantize/sample_streams.h"

namespace lmdeploy {

void SampleStreams::keep_in_memory(Ctx& ctx) {
  const Shape all{shape_.num_samples * shape_.seqlen, shape_.hidden_size};
  while (full_.size() < num_full_tensors()) full_.emplace_back(*ctx.allocator, DType::bf16, all);
  if (has_quantized_) quantized_ = Tensor(*ctx.allocator, DType::bf16, all);
}

std::int64_t SampleStreams::memory_bytes() const {
  const std::size_t count = num_full_tensors() + (has_quantized_ ? 1 : 0);
  return static_cast<std::int64_t>(count * shape_.bytes());
}

bool SampleStreams::has_files(std::int64_t layer_idx) const {
  const auto exists = [&](Stream stream) {
    return std::filesystem::exists(work_.stream_file(stream, layer_idx));
  };
  return (!has_full_ || exists(Stream::full)) && (!has_quantized_ || exists(Stream::quantized));
}

View SampleStreams::memory(Stream stream, std::int64_t layer_idx) const {
  if (stream == Stream::quantized) return quantized_;
  if (full_.empty()) return {};
  return full_[static_cast<std::size_t>(layer_idx) % full_.size()];
}

StreamReader SampleStreams::reader(Stream stream, std::int64_t layer_idx) const {
  const View in_memory = memory(stream, layer_idx);
  return in_memory.empty() ? StreamReader(work_.stream_file(stream, layer_idx), shape_)
                           : StreamReader(in_memory, shape_);
}

StreamWriter SampleStreams::writer(Stream stream, std::int64_t layer_idx) const {
  const View in_memory = memory(stream, layer_idx);
  return in_memory.empty() ? StreamWriter(work_.stream_file(stream, layer_idx), shape_)
                           : StreamWriter(in_memory, shape_);
}

void SampleStreams::embed(Ctx& ctx, const BlockSource& source, const CalibrationSamples& samples) const {
  const auto write = [&](Stream stream) {
    StreamWriter to = writer(stream, 0);
    write_embeddings(ctx, source, samples, to);
    to.commit();
  };
  if (has_full_) write(Stream::full);
  if (has_quantized_) write(Stream::quantized);
}

BlockStreams SampleStreams::open(std::int64_t layer_idx, bool is_last) const {
  BlockStreams streams;
  if (has_full_) streams.full_in.emplace(reader(Stream::full, layer_idx));
  if (has_full_ && !is_last) streams.full_out.emplace(writer(Stream::full, layer_idx + 1));
  if (has_quantized_) streams.quantized_in.emplace(reader(Stream::quantized, layer_idx));
  if (has_quantized_ && !is_last) streams.quantized_out.emplace(writer(Stream::quantized, layer_idx + 1));
  return streams;
}

}  // namespace lmdeploy
