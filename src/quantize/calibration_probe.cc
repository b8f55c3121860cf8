#include "quantize/calibration_probe.h"

#include <algorithm>

#include "ops/ops.h"

namespace lmdeploy {

std::int64_t num_channels(const HfConfig& config, LinearInput input) {
  switch (input) {
    case LinearInput::qkv:
    case LinearInput::gate_up:
      return config.hidden_size;
    case LinearInput::attention_output:
      return config.num_attention_heads * config.head_dim;
    case LinearInput::down:
      return config.intermediate_size;
  }
  CHECK(false, "input {}", static_cast<int>(input));
}

CalibrationProbe::CalibrationProbe(Ctx& ctx, const HfConfig& config, DType dtype, const ProbeOptions& options)
    : ctx_(ctx) {
  const std::int64_t num_kept = std::min(options.num_tokens, options.max_kept_tokens);
  keep_every_ = (options.num_tokens + num_kept - 1) / num_kept;
  for (std::size_t i = 0; i < kNumLinearInputs; i++) {
    const std::int64_t k = num_channels(config, static_cast<LinearInput>(i));
    inputs_[i] = std::make_unique<InputProbe>(
        InputProbe{CalibrationStatistics(k), std::nullopt, Tensor(*ctx.allocator, dtype, {num_kept, k})});
    if (options.gram) inputs_[i]->gram.emplace(ctx, k);
  }
}

void CalibrationProbe::see(LinearInput input, const View& x) {
  InputProbe& probe = this->input(input);
  keep(probe, x);  // counts on from statistics.num_rows()
  probe.statistics.add(ctx_, x);
  if (probe.gram) probe.gram->add(x);
}

void CalibrationProbe::keep(InputProbe& probe, const View& x) const {
  const std::int64_t first = probe.statistics.num_rows();
  const std::int64_t skipped = (keep_every_ - first % keep_every_) % keep_every_;
  for (std::int64_t row = skipped; row < x.dim(0) && probe.num_kept < probe.kept.shape()[0];
       row += keep_every_)
    ops::cast(ctx_, x.rows(row, 1), probe.kept.view().rows(probe.num_kept++, 1));
}

}  // namespace lmdeploy
