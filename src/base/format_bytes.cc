#include "base/format_bytes.h"

#include <fmt/format.h>

#include <array>

namespace lmdeploy {

std::string format_bytes(std::int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  static constexpr std::array<int, 5> kDecimals{0, 1, 1, 2, 2};
  auto value = static_cast<double>(bytes);
  std::size_t unit_idx = 0;
  for (; value >= 1024 && unit_idx + 1 < kUnits.size(); ++unit_idx) value /= 1024;
  return fmt::format("{:.{}f} {}", value, kDecimals[unit_idx], kUnits[unit_idx]);
}

}  // namespace lmdeploy
