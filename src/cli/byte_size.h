#pragma once
#include <cstdint>
#include <string>

namespace lmdeploy::cli {

// "512 B", "97.4 MiB", "13.7 GiB".
std::string format_bytes(std::int64_t bytes);

// "4MiB", "16k", "500MB", "4096": KiB, MiB, GiB are powers of 1024, KB, MB, GB (and K, M, G) of 1000. Throws
// Error on anything else.
std::int64_t parse_bytes(const std::string& text);

}  // namespace lmdeploy::cli
