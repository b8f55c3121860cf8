#pragma once
#include <functional>
#include <optional>

#include "quantize/block_rounder.h"
#include "quantize/contexts.h"

namespace lmdeploy {

// What the calibration samples are before and behind a layer. Empty where the recipe does not look.
struct BlockStreams {
  std::optional<StreamReader> full_in, quantized_in;    // through the 16-bit model; through what was rounded
  std::optional<StreamWriter> full_out, quantized_out;  // none behind the last layer
};

// Takes one decoder layer after another from what it was to what the recipe makes of it.
class BlockQuantizer {
 public:
  // after_sample: called between samples, may throw.
  BlockQuantizer(Contexts& contexts, const BlockSource& source, const Recipe& recipe,
                 const StreamShape& shape, std::function<void()> after_sample);

  QuantizedBlock quantize(std::int64_t layer_idx, BlockStreams& streams);

 private:
  std::int64_t num_tokens() const { return shape_.num_samples * shape_.seqlen; }
  std::unique_ptr<CalibrationProbe> run_full(std::int64_t layer_idx, BlockStreams& streams);
  QuantizedBlock round(std::int64_t layer_idx, std::unique_ptr<CalibrationProbe> full, BlockStreams& streams);
  void round_by_gptq(std::int64_t layer_idx, BlockRounder& block, BlockStreams& streams);
  GptqInputs gather(std::int64_t layer_idx, LinearInput input, BlockRunner& exact,
                    const BlockStreams& streams);
  QuantizedBlock statistics(std::int64_t layer_idx, CalibrationProbe& probe) const;

  Contexts& contexts_;
  const BlockSource& source_;
  Recipe recipe_;
  StreamShape shape_;
  std::function<void()> after_sample_;
};

}  // namespace lmdeploy
