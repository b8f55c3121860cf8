// lmdeploy list: what `architectures` of a config.json may say. (LMDeploy 0.5.3 listed its chat templates
// here; templates come from the model's own folder now.)
#include <fmt/core.h>

#include "cli/command.h"
#include "model/registry.h"

namespace lmdeploy::cli {

Action setup_list(CLI::App&) {
  return [] {
    fmt::print("Model architectures (\"architectures\" in config.json):\n");
    for (const std::string& name : known_architectures()) fmt::print("  {}\n", name);
    fmt::print(
        "Weights: safetensors in bfloat16, float16 or float32; GGUF files are converted.\n"
        "Chat templates: the model's own, or --chat-template FILE.\n");
    return 0;
  };
}

}  // namespace lmdeploy::cli
