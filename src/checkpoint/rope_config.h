#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "checkpoint/hf_config.h"

namespace lmdeploy {

// The rope fields of config.json: rope_parameters (transformers 5), or rope_scaling and rope_theta. Throws
// Error: a rope type that is not supported, a field that its type needs and that is absent, bad values.
RopeConfig parse_rope_config(const nlohmann::json& config, const std::string& origin);

}  // namespace lmdeploy
