#pragma once
#include <cstdint>
#include <filesystem>

#include "cli/model_options.h"

namespace lmdeploy::cli {

// A server on a card holds there besides: CUDA's context, and what comes while it runs.
struct CardBytes {
  std::int64_t context = 0;  // from the start
  std::int64_t later = 0;    // kernels, cuBLASLt, graphs. About

  std::int64_t total() const noexcept { return context + later; }
};
// context_bytes: as it was measured; 0: what is usual, as it depends on card and driver.
CardBytes card_bytes(std::int64_t context_bytes);

// What a server on the CPU holds beside weights, cache and workspace: code and data of the program, its
// threads, the tokenizer. Measured, not derived (docs/memory.md tells how).
std::int64_t process_bytes(const std::filesystem::path& folder, const EngineFlags& flags);

}  // namespace lmdeploy::cli
