#pragma once
#include <cstdint>
#include <vector>

#include "checkpoint/hf_config.h"
#include "model/linear_group.h"
#include "quantize/calibration_statistics.h"

namespace lmdeploy {

// Inputs of the linear layers that read `input`.
std::int64_t num_channels(const HfConfig& config, LinearInput input);

// What is gathered of one of the activations that a decoder layer's linear layers read.
class InputProbe {
 public:
  // num_tokens: that will pass. Up to 4,096 of their rows are kept as they are, evenly chosen, of `dtype`, in
  // memory of ctx's device.
  InputProbe(Ctx& ctx, std::int64_t k, DType dtype, std::int64_t num_tokens);

  void see(const View& x);  // [m, k] of dtype

  const CalibrationStatistics& statistics() const { return statistics_; }
  View kept_rows() const { return kept_.view().rows(0, num_kept_); }  // [num_kept, k] of dtype

 private:
  void keep(const View& x);

  Ctx& ctx_;
  CalibrationStatistics statistics_;
  Tensor kept_;              // [up to 4096, k] of dtype
  std::int64_t keep_every_;  // tokens
  std::int64_t num_kept_ = 0;
};

// All of the activations of one layer.
class CalibrationProbe {
 public:
  CalibrationProbe(Ctx& ctx, const HfConfig& config, DType dtype, std::int64_t num_tokens);

  InputProbe& input(LinearInput input) { return inputs_[static_cast<std::size_t>(input)]; }

 private:
  std::vector<InputProbe> inputs_;  // [kNumLinearInputs]
};

}  // namespace lmdeploy
