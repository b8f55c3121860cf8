#pragma once
#include <filesystem>

#include "cli/model_options.h"

namespace lmdeploy::cli {

// Downloads options.model, a hub name, as the hub's environment variables say (HF_ENDPOINT, HF_TOKEN,
// HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE), with progress on stderr. Throws Error.
std::filesystem::path download_from_hub(const ModelOptions& options);

}  // namespace lmdeploy::cli
