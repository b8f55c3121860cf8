#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "checkpoint/hf_config.h"

namespace lmdeploy {

// The attention window of all layers, in tokens; 0 where there is none. `config` holds the sizes and the
// model_type, which decides what sliding_window, use_sliding_window, max_window_layers and layer_types mean.
// Throws Error where some layers have a window and others not.
std::int64_t parse_sliding_window(const nlohmann::json& object, const std::string& origin,
                                  const HfConfig& config);

}  // namespace lmdeploy
