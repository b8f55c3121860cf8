#include "cli/byte_size.h"

#include <fmt/format.h>

#include <array>

namespace lmdeploy::cli {

std::string format_bytes(std::int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit_idx = 0;
  for (; value >= 1024 && unit_idx + 1 < kUnits.size(); ++unit_idx) value /= 1024;
  return unit_idx == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit_idx]);
}

}  // namespace lmdeploy::cli
