#include "quantize/calibration_probe.h"

#include <algorithm>

#include "ops/ops.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kMaxKeptTokens = 4'096;

}  // namespace

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

InputProbe::InputProbe(Ctx& ctx, std::int64_t k, DType dtype, std::int64_t num_tokens)
    : ctx_(ctx),
      statistics_(ctx, k),
      kept_(*ctx.allocator, dtype, {std::min(num_tokens, kMaxKeptTokens), k}),
      keep_every_((num_tokens + kMaxKeptTokens - 1) / kMaxKeptTokens) {}

void InputProbe::see(const View& x) {
  keep(x);  // counts on from statistics_.num_rows()
  statistics_.add(x);
}

void InputProbe::keep(const View& x) {
  const std::int64_t first = statistics_.num_rows();
  const std::int64_t skipped = (keep_every_ - first % keep_every_) % keep_every_;
  const std::int64_t count =
      std::min((x.dim(0) - skipped + keep_every_ - 1) / keep_every_, kept_.shape()[0] - num_kept_);
  if (skipped >= x.dim(0) || count <= 0) return;
  const View rest = x.rows(skipped, x.dim(0) - skipped);
  const View chosen(rest.data, x.dtype, {count, x.dim(1)}, keep_every_ * x.row_stride);
  ops::cast(ctx_, chosen, kept_.view().rows(num_kept_, count));
  num_kept_ += count;
}

CalibrationProbe::CalibrationProbe(Ctx& ctx, const HfConfig& config, DType dtype, std::int64_t num_tokens) {
  for (std::size_t i = 0; i < kNumLinearInputs; i++)
    inputs_.emplace_back(ctx, num_channels(config, static_cast<LinearInput>(i)), dtype, num_tokens);
}

}  // namespace lmdeploy
