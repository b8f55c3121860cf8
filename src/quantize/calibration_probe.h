#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "checkpoint/hf_config.h"
#include "model/linear_group.h"
#include "quantize/calibration_statistics.h"
#include "quantize/gram.h"

namespace lmdeploy {

// What is gathered of the activations that a decoder layer's linear layers read.
struct ProbeOptions {
  bool gram = false;                     // x^T x too, for GPTQ
  std::int64_t num_tokens = 0;           // that will pass
  std::int64_t max_kept_tokens = 4'096;  // kept as they are, evenly chosen among them
};

// One of the activations.
struct InputProbe {
  CalibrationStatistics statistics;
  std::optional<Gram> gram;
  Tensor kept;  // [max_kept_tokens, k] of the weight dtype
  std::int64_t num_kept = 0;

  View kept_rows() const { return kept.view().rows(0, num_kept); }
};

class CalibrationProbe {
 public:
  // dtype: of the rows that will be seen.
  CalibrationProbe(Ctx& ctx, const HfConfig& config, DType dtype, const ProbeOptions& options);

  void see(LinearInput input, const View& x);  // a LinearObserver; every input sees the same tokens
  InputProbe& input(LinearInput input) { return *inputs_[static_cast<std::size_t>(input)]; }

 private:
  void keep(InputProbe& probe, const View& x) const;

  Ctx& ctx_;
  std::int64_t keep_every_;  // tokens
  std::array<std::unique_ptr<InputProbe>, kNumLinearInputs> inputs_;
};

// Inputs of the linear layers that read `input`.
std::int64_t num_channels(const HfConfig& config, LinearInput input);

}  // namespace lmdeploy
