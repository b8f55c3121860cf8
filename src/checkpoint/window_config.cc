#include "checkpoint/window_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "checkpoint/json_fields.h"

namespace lmdeploy {
namespace {

constexpr std::int64_t kDefaultWindow = 4096;  // of transformers, where the field is absent
constexpr std::int64_t kMaxWindow = (std::int64_t{1} << 31) - 1;

// Absent and null differ here: absent is transformers' default, null is no window.
std::int64_t window_or_default(const nlohmann::json& object, const JsonFields& fields) {
  if (!object.contains("sliding_window")) return kDefaultWindow;
  return fields.find_int("sliding_window", {1, kMaxWindow}).value_or(0);
}

// Layers that attend within the window, by Qwen's rules: those that layer_types names, or, without it, those
// from max_window_layers on.
std::int64_t count_windowed_layers(const JsonFields& fields, std::int64_t num_layers) {
  const auto types = fields.find_strings("layer_types");
  if (!types) {
    const std::int64_t first = fields.find_int("max_window_layers", {0, kMaxWindow}).value_or(28);
    return std::max<std::int64_t>(0, num_layers - first);
  }
  if (static_cast<std::int64_t>(types->size()) != num_layers)
    fields.wrong("layer_types", fmt::format("a list of num_hidden_layers = {} names", num_layers));
  std::int64_t count = 0;
  for (const std::string& type : *types) {
    if (type != "full_attention" && type != "sliding_attention")
      throw Error(fmt::format("{}: the layer type \"{}\" is not supported", fields.origin(), type),
                  "Supported are full_attention and sliding_attention, one of them for all layers.");
    count += type == "sliding_attention" ? 1 : 0;
  }
  return count;
}

}  // namespace

std::int64_t parse_sliding_window(const nlohmann::json& object, const std::string& origin,
                                  const HfConfig& config) {
  const JsonFields fields(object, origin);
  const std::int64_t num_layers = config.num_hidden_layers;
  // Counted for every model, so that a layer type which is not attention is always refused.
  const std::int64_t num_windowed = count_windowed_layers(fields, num_layers);
  if (config.model_type == "mistral") return window_or_default(object, fields);
  if (config.model_type == "llama" || config.model_type == "internlm2") return 0;  // they do not read it

  if (!fields.find_bool("use_sliding_window").value_or(false)) return 0;
  const std::int64_t window = window_or_default(object, fields);
  if (num_windowed == 0) return 0;
  if (num_windowed == num_layers) return window;
  // A window as wide as the longest context hides nothing, whichever layers have it.
  if (window == 0 || window >= config.max_position_embeddings) return 0;
  throw Error(fmt::format("{}: {} of {} layers attend within a window of {} tokens (max_window_layers, "
                          "layer_types); mixed layers are not supported",
                          origin, num_windowed, num_layers, window),
              "Run it without windows, as its makers recommend for short contexts: --hf-overrides "
              "'{\"use_sliding_window\": false}'.");
}

}  // namespace lmdeploy
