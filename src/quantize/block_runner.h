#pragma once
#include <functional>
#include <memory>

#include "model/architectures.h"
#include "quantize/calibration_stream.h"

namespace lmdeploy {

// A model folder that is read layer by layer.
struct BlockSource {
  const HfConfig& config;
  const Architecture& architecture;
  std::shared_ptr<Checkpoint> checkpoint;
  DType dtype;  // that layers compute in
};

// One decoder layer with the weights that the checkpoint has at this moment (Checkpoint::replace), and what
// it takes to run calibration samples through it.
class BlockRunner {
 public:
  BlockRunner(Ctx& ctx, const BlockSource& source, std::int64_t layer_idx, const StreamShape& shape);

  // Each sample of `input` through the layer, from an empty cache; to `output` unless it is null, which wants
  // an observer that ends nothing. after_sample is called between samples and may throw.
  void run(const StreamReader& input, StreamWriter* output, const LinearObserver& observe,
           const std::function<void()>& after_sample);

  // What the linear layers with the input `which` read of one sample: [seqlen, k] of the weight dtype.
  // Computes no more of the layer than that takes.
  void read_input(const StreamReader& input, std::int64_t sample_idx, LinearInput which, const View& rows);

 private:
  // hidden: [seqlen, hidden_size] f32, the sample, taken through the layer in place.
  void run_sample(const View& hidden, const LinearObserver& observe);

  Ctx& ctx_;
  StreamShape shape_;
  std::unique_ptr<Decoder> layer_;
  KvPool pool_;
  std::vector<std::int32_t> positions_;    // [seqlen]
  std::vector<std::int32_t> block_table_;  // [num_blocks]
};

// What the first layer reads: the samples' embeddings.
void write_embeddings(Ctx& ctx, const BlockSource& source, const CalibrationSamples& samples,
                      StreamWriter& output);

}  // namespace lmdeploy
