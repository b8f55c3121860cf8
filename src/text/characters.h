#pragma once
#include <algorithm>
#include <cstdint>
#include <string_view>

namespace lmdeploy {

// Characters of a text in UTF-8: bytes that continue one do not count.
inline std::int64_t count_chars(std::string_view utf8) {
  return std::ranges::count_if(utf8,
                               [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

}  // namespace lmdeploy
