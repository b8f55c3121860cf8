#pragma once
#include <filesystem>
#include <string>

#include "cli/model_options.h"

namespace lmdeploy::cli {

// A MODEL of the command line, found on this machine.
struct ModelSource {
  std::filesystem::path folder;  // a Hugging Face folder
  std::string name;              // what the user called it
  bool headers_only = false;     // files have their headers and sizes, and holes for data (model_headers.h)
};

// MODEL as a folder, a .gguf file (converted into the cache folder, once per content) or a hub name
// (downloaded, once per revision), with --hf-overrides applied to a copy of config.json. Progress goes to
// stderr. Throws Error.
ModelSource find_model(const ModelOptions& options);

// org/name, in the letters that the hub allows.
bool looks_like_hub_name(const std::string& text);

}  // namespace lmdeploy::cli
