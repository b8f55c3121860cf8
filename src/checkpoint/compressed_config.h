#pragma once
#include "checkpoint/quantization_config.h"

namespace lmdeploy {

// The quantization_config of compressed-tensors (llm-compressor): config_groups of schemes, each with its
// targets. All groups must have one scheme.
QuantizationConfig parse_compressed_config(const nlohmann::json& object, const std::string& origin);

}  // namespace lmdeploy
