#include "cli/lite_progress.h"

#include "base/format_bytes.h"
#include "base/system_memory.h"

namespace lmdeploy::cli {
namespace {

std::string format_seconds(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 100) return fmt::format("{} s", whole);
  if (whole < 100 * 60) return fmt::format("{} min", (whole + 30) / 60);
  return fmt::format("{:.1f} h", static_cast<double>(whole) / 3600);
}

}  // namespace

void LiteProgress::update(const PipelineProgress& state) {
  if (start_done_ < 0) start_done_ = state.done - 1;
  const double per_step = watch_.seconds() / static_cast<double>(state.done - start_done_);
  const double left = per_step * static_cast<double>(state.total - state.done);
  line_.update(
      state.done, state.total,
      fmt::format("layer {} of {}  {} left  {}", state.layer_idx + 1, state.num_layers, format_seconds(left),
                  format_bytes(static_cast<std::int64_t>(resident_memory_bytes()))));
}

}  // namespace lmdeploy::cli
