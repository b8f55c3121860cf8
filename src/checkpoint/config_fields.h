#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lmdeploy {

// Goes over the fields of config.json that no struct reads. What is known to be harmless passes, what would
// change the arithmetic and is not honoured throws Error (by name, with the value found and those that are
// supported), and what is not known is listed in one warning.
void check_config_fields(const nlohmann::json& config, const std::string& origin);

}  // namespace lmdeploy
