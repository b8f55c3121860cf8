#pragma once
#include <string>
#include <string_view>

namespace lmdeploy::cli {

// A file name that is readable and differs where `identity` does: "name-0123456789abcdef". It names a cache
// entry and protects nothing.
std::string cache_key(std::string_view name, std::string_view identity);

}  // namespace lmdeploy::cli
