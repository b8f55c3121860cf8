#pragma once
#include "quantize/block_weights.h"
#include "quantize/contexts.h"
#include "quantize/recipe.h"
#include "quantize/work_folder.h"

namespace lmdeploy {

// A layer as samples went through it once it was rounded: while this lives the checkpoint has the tensors of
// the work folder in place of the layer's own, as f32, bit for bit what rounding had left there.
class FinishedLayer {
 public:
  FinishedLayer(Contexts& contexts, const BlockSource& source, const Recipe& recipe, const WorkFolder& work,
                std::int64_t layer_idx);

 private:
  void take_linear(Ctx& host, const Checkpoint& finished, const QuantizationConfig& config,
                   const std::string& name);
  void take_vector(Ctx& host, const Checkpoint& finished, const std::string& name, const View& target) const;

  BlockWeights weights_;
};

}  // namespace lmdeploy
