#pragma once
#include <cstdint>
#include <string>

namespace lmdeploy {

// In the largest binary unit that makes it 1 or more: "97 B", "97.4 MiB", "13.71 GiB".
std::string format_bytes(std::int64_t bytes);

}  // namespace lmdeploy
