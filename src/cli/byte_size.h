#pragma once
#include <cstdint>
#include <string>

namespace lmdeploy::cli {

// "512 B", "97.4 MiB", "13.7 GiB".
std::string format_bytes(std::int64_t bytes);

}  // namespace lmdeploy::cli
