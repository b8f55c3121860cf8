#include "dataset/byte_cursor.h"

#include <cstring>

namespace lmdeploy {

std::optional<std::string_view> ByteCursor::take(std::uint64_t size) {
  if (size > rest_.size()) return std::nullopt;
  const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
  rest_.remove_prefix(taken.size());
  return taken;
}

std::optional<std::uint8_t> ByteCursor::byte() {
  const auto taken = take(1);
  return taken ? std::optional(static_cast<std::uint8_t>(taken->front())) : std::nullopt;
}

std::optional<std::uint32_t> ByteCursor::u32() {
  std::uint32_t value = 0;
  const auto taken = take(sizeof value);
  if (!taken) return std::nullopt;
  std::memcpy(&value, taken->data(), sizeof value);
  return value;
}

std::optional<std::uint64_t> ByteCursor::varint(unsigned max_bytes) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < max_bytes; ++i) {
    const auto bits = byte();
    if (!bits) return std::nullopt;
    value |= std::uint64_t{*bits & 0x7fU} << (7 * i);
    if ((*bits & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

}  // namespace lmdeploy
