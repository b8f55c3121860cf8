#pragma once
#include <filesystem>

#include "base/error.h"

namespace lmdeploy {

// Why a folder without model.safetensors and without its index cannot be read, from what lies in it instead:
// pickled weights, shards without an index, a GGUF file, nothing.
Error missing_weights(const std::filesystem::path& folder);

}  // namespace lmdeploy
