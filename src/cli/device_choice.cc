#include "cli/device_choice.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/log.h"
#include "model/compute_context.h"

namespace lmdeploy::cli {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The card that is computed on is the one whose free memory was asked for.
cuda::DeviceProperties used_card() {
  for (const cuda::DeviceProperties& card : find_cards().devices)
    if (card.free_bytes > 0) return card;
  return {};
}

Device choose() {
  const std::string reason = find_cards().reason;
  if (reason.empty()) {
    log::info("--device auto: computing{}", where(Device::cuda));
    return Device::cuda;
  }
  log::info("--device auto: computing on the CPU, as {}", reason);
  return Device::cpu;
}

}  // namespace

CLI::Option* add_device_option(CLI::App& app, std::string& name, const char* description) {
  return app.add_option("--device", name, description)->option_text("auto|cuda|cpu")->transform(lower);
}

CLI::Option* add_eager_option(CLI::App& app, bool& eager) {
  return app.add_flag(
      "--eager,--eager-mode", eager,
      "On a card: launch every step op by op instead of as a CUDA graph, and none ahead of the "
      "tokens before it; slower, the same tokens; for debugging");
}

CLI::Option* add_deterministic_option(CLI::App& app, bool& deterministic) {
  return app.add_flag("--deterministic", deterministic,
                      "Bit-equal results alone, in a batch, in chunks and out of the prefix cache. On a card "
                      "that takes other, slower kernels (docs/cuda.md says what it costs); on the CPU it is "
                      "always so");
}

Device find_device(const std::string& name) {
  if (name == "cpu") return Device::cpu;
  if (name == "cuda") {
    require_device(Device::cuda);
    return Device::cuda;
  }
  CHECK(name == "auto", "--device {} passed the table of known values", name);
  static const Device chosen = choose();
  return chosen;
}

std::string where(Device device) {
  return device == Device::cpu ? std::string() : " on " + used_card().name;
}

std::int64_t free_card_bytes() {
  return static_cast<std::int64_t>(used_card().free_bytes);
}

std::int64_t card_context_bytes() {
  return static_cast<std::int64_t>(used_card().context_bytes);
}

}  // namespace lmdeploy::cli
