#pragma once
#include <vector>

#include "quantize/block_quantizer.h"
#include "quantize/work_folder.h"

namespace lmdeploy {

// The samples on their way from layer to layer: in files of the work folder, or in memory of the device.
class SampleStreams {
 public:
  using Stream = WorkFolder::Stream;

  SampleStreams(const WorkFolder& work, const StreamShape& shape, bool has_full, bool has_quantized)
      : work_(work), shape_(shape), has_full_(has_full), has_quantized_(has_quantized) {}

  // From now on in memory.
  void keep_in_memory(Ctx& ctx);
  // What that takes: the samples of the 16-bit model twice where others need them while they go on, else each
  // takes the place of what it was.
  std::int64_t memory_bytes() const;

  bool empty() const noexcept { return !has_full_ && !has_quantized_; }
  bool in_memory() const noexcept { return !full_.empty() || !quantized_.empty(); }
  bool has_files(std::int64_t layer_idx) const;  // of all samples, as this layer reads them

  void embed(Ctx& ctx, const BlockSource& source, const CalibrationSamples& samples) const;
  BlockStreams open(std::int64_t layer_idx, bool is_last) const;

 private:
  std::size_t num_full_tensors() const noexcept { return has_full_ ? (has_quantized_ ? 2 : 1) : 0; }
  View memory(Stream stream, std::int64_t layer_idx) const;  // empty: in a file
  StreamReader reader(Stream stream, std::int64_t layer_idx) const;
  StreamWriter writer(Stream stream, std::int64_t layer_idx) const;

  const WorkFolder& work_;
  StreamShape shape_;
  bool has_full_, has_quantized_;
  // [num_samples * seqlen, hidden_size] bf16
  std::vector<Tensor> full_;  // taken by turns
  Tensor quantized_;
};

}  // namespace lmdeploy
