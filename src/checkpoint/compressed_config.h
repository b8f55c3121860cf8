#pragma once
#include "checkpoint/json_fields.h"
#include "checkpoint/quantization_config.h"

namespace lmdeploy {

// The quantization_config of compressed-tensors (llm-compressor): config_groups of schemes, each with its
// targets. All groups must have one scheme.
QuantizationConfig parse_compressed_config(const nlohmann::json& object, const std::string& origin);

// [outputs, inputs] that share a scale, checked; `fields` are of the object that holds them.
void set_block_size(const JsonFields& fields, const nlohmann::json& block, QuantizationConfig& config);

}  // namespace lmdeploy
