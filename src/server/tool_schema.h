#pragma once
#include <string>

#include "server/json.h"

namespace lmdeploy {

// The JSON schema of a function's arguments, checked: types are JSON Schema's, or Python's names of them
// (int, float, str, bool, list, dict, ...), which are replaced; `properties`, `required`, `items` and the
// like have their shapes. Keys that the schema does not name are not allowed unless it says so. Throws
// ApiError (400) that names the place below `path`.
Json arguments_schema(const Json& schema, const std::string& path);

}  // namespace lmdeploy
