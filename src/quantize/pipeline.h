#pragma once
#include <functional>

#include "quantize/block_quantizer.h"
#include "quantize/calibration_samples.h"
#include "quantize/work_folder.h"

namespace lmdeploy {

struct PipelineProgress {
  std::int64_t layer_idx = 0;
  std::int64_t num_layers = 0;
  std::int64_t done = 0;  // samples through a layer, of all layers and passes
  std::int64_t total = 0;
};

// Called after each sample; may throw to end the run, which can then be resumed.
using PipelineCallback = std::function<void(const PipelineProgress&)>;

struct PipelineOptions {
  // What may be taken of the memory of ctx's device. Where the samples between two layers fit there besides
  // one layer's work they stay there, and a resumed run takes them through the finished layers again;
  // elsewhere, and with 0, they lie in the work folder.
  std::int64_t device_bytes = 0;
};

// Layer by layer from the source into the work folder, beginning where it ends. In memory is one layer, what
// is gathered of its activations, and one sample, or all where device_bytes has room. samples: none for
// rounding without data. Throws Error: device_bytes do not even hold the work on one layer; besides, all that
// reading, computing and writing throw.
void quantize_layers(Ctx& ctx, const BlockSource& source, const Recipe& recipe,
                     const CalibrationSamples& samples, WorkFolder& work, const PipelineCallback& progress,
                     const PipelineOptions& options = {});

StreamShape stream_shape(const BlockSource& source, const CalibrationSamples& samples);

}  // namespace lmdeploy
