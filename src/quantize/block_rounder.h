#pragma once
#include <map>
#include <optional>
#include <vector>

#include "quantize/block_scaling.h"
#include "quantize/calibration_probe.h"
#include "quantize/contexts.h"
#include "quantize/file_tensors.h"
#include "quantize/gptq_inputs.h"
#include "quantize/recipe.h"
#include "quantize/report.h"

namespace lmdeploy {

// One layer for the output folder.
struct QuantizedBlock {
  std::vector<FileTensor> tensors;  // those that differ from the source's
  LayerReport report;
};

// One decoder layer on its way from what it was to what the recipe makes of it. While this lives the
// checkpoint has the layer as it is at the moment.
class BlockRounder {
 public:
  BlockRounder(Contexts& contexts, const BlockSource& source, const Recipe& recipe, std::int64_t layer_idx);

  // Scales what can be scaled, by what the 16-bit activations came to.
  void scale(CalibrationProbe& probe);

  // All of the layer. probe: of the 16-bit model's activations; null without data.
  void round_to_nearest(CalibrationProbe* probe);

  // One group. read: of what its layers read now, scaled.
  void round_by_gptq(const LinearGroup& group, GptqInputs read);

  QuantizedBlock take();

 private:
  // What calibration knows of what a group of linear layers reads.
  struct Inputs {
    const CalibrationStatistics* statistics = nullptr;  // null: nothing
    Tensor kept;                                        // [num_kept, k] f32, as the scaled layers read them
    Tensor grams;                                       // as group_grams gives them; empty: no clipping
    std::optional<ErrorFeedback> feedback;              // none: to nearest
  };

  bool is_scaled(const LinearGroup& group) const;
  bool is_clipped(const LinearGroup& group, std::int64_t group_size) const;
  std::vector<float> scales_of(const LinearGroup& group, const InputProbe& input) const;
  Inputs inputs_of(const LinearGroup& group, const InputProbe& probe) const;
  QuantizedLinear rounded(const View& weight, const Inputs& inputs) const;
  void round_linear(const std::string& name, const Inputs& inputs);
  void keep_changed_makers();

  Contexts& contexts_;
  const BlockSource& source_;
  const Recipe& recipe_;
  BlockWeights weights_;
  std::map<LinearInput, std::vector<float>> scaled_;  // what the channels were divided by
  QuantizedBlock result_;
};

}  // namespace lmdeploy
