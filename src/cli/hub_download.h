#pragma once
#include <filesystem>

#include "cli/model_options.h"
#include "client/hub.h"

namespace lmdeploy::cli {

// What the hub's environment variables and the options say of where models come from and go to.
client::HubOptions hub_options(const ModelOptions& options);

// Downloads options.model, a hub name, as the hub's environment variables say (HF_ENDPOINT, HF_TOKEN,
// HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE), with progress on stderr. Throws Error.
std::filesystem::path download_from_hub(const ModelOptions& options);

}  // namespace lmdeploy::cli
