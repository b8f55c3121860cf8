#include "cli/cache_key.h"

#include <fmt/core.h>

#include <cstdint>

namespace lmdeploy::cli {

std::string cache_key(std::string_view name, std::string_view identity) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : identity) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{}-{:016x}", name, hash);
}

}  // namespace lmdeploy::cli
