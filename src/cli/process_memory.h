#pragma once
#include <cstdint>
#include <filesystem>

#include "cli/model_options.h"

namespace lmdeploy::cli {

// A server on a card holds there besides: CUDA's context, the kernels. About; it depends on the driver.
std::int64_t card_bytes();

// What a server on the CPU holds beside weights, cache and workspace: code and data of the program, its
// threads, the tokenizer. Measured, not derived (docs/memory.md tells how).
std::int64_t process_bytes(const std::filesystem::path& folder, const EngineFlags& flags);

}  // namespace lmdeploy::cli
