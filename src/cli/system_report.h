#pragma once
#include <nlohmann/json.hpp>

namespace lmdeploy::cli {

// What matters for a bug report or a slow machine, in the order of printing: program, system, processor,
// memory, GPU, libraries. Values are strings, numbers or objects of them.
nlohmann::ordered_json system_report();

}  // namespace lmdeploy::cli
