#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "cli/memory_estimate.h"

namespace lmdeploy::cli {

// The table that `plan` prints and `serve` begins with; ends without a line break.
std::string plan_text(const MemoryEstimate& estimate, const std::string& model_name);

nlohmann::ordered_json plan_json(const MemoryEstimate& estimate);

}  // namespace lmdeploy::cli
