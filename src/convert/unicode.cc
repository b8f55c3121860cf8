#include "convert/unicode.h"

#include <cstdint>

namespace lmdeploy::convert {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<std::uint8_t>(text[i]);
}

bool is_continuation(std::uint8_t byte) {
  return (byte & 0xc0U) == 0x80;
}

// Bytes of the character that begins at `start`, 0 where it is not valid. The second byte's range depends on
// the first: this excludes overlong forms (E0, F0), surrogates (ED) and what lies above U+10FFFF (F4).
std::size_t character_len(std::string_view text, std::size_t start) {
  const std::uint8_t first = byte_at(text, start);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || start + length > text.size()) return 0;
  const std::uint8_t second = byte_at(text, start + 1);
  const std::uint8_t min = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const std::uint8_t max = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (second < min || second > max) return 0;
  for (std::size_t i = start + 2; i < start + length; ++i)
    if (!is_continuation(byte_at(text, i))) return 0;
  return length;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character_len(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::vector<std::size_t> character_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (!is_continuation(byte_at(text, i))) starts.push_back(i);
  return starts;
}

}  // namespace lmdeploy::convert
