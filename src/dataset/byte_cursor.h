#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace lmdeploy {

// Walks along bytes that it borrows. Where they end before what is asked for there is nothing, and what is
// left then is not said. Private to dataset/.
class ByteCursor {
 public:
  explicit ByteCursor(std::string_view bytes) : rest_(bytes) {}

  std::optional<std::string_view> take(std::uint64_t size);
  std::optional<std::uint8_t> byte();
  std::optional<std::uint32_t> u32();  // lowest byte first
  // ULEB128: seven bits a byte, the lowest first. Nothing either where it has more than max_bytes.
  std::optional<std::uint64_t> varint(unsigned max_bytes);

  std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace lmdeploy
