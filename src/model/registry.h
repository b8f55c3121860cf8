#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"

namespace lmdeploy {

struct LoadOptions {
  std::optional<DType> dtype;  // of the weights in memory; empty: config.json's
  std::int32_t session_len =
      0;  // 0: max_position_embeddings. Beyond it, dynamic rope takes its base from this
  std::int32_t block_len = 64;  // tokens per KV block
};

// Reads config.json and the safetensors of a folder and builds the architecture that the table in registry.cc
// names. Throws Error: unknown architecture (with the known ones), missing or misshapen tensors.
std::unique_ptr<const Model> load_model(Ctx& ctx, const std::filesystem::path& folder,
                                        const LoadOptions& options);

std::vector<std::string> known_architectures();

}  // namespace lmdeploy
