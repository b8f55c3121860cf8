#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

namespace lmdeploy::convert {

// Whether text is UTF-8 by the letter: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// Byte offsets at which a character of UTF-8 text begins, 0 included.
std::vector<std::size_t> character_starts(std::string_view text);

}  // namespace lmdeploy::convert
