#include "cli/byte_size.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

// 0: no such unit.
std::int64_t unit_bytes(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 11> kUnits{
      {{"", 1},
       {"B", 1},
       {"K", 1000},
       {"KB", 1000},
       {"KIB", 1 << 10},
       {"M", 1000 * 1000},
       {"MB", 1000 * 1000},
       {"MIB", 1 << 20},
       {"G", 1000 * 1000 * 1000},
       {"GB", 1000 * 1000 * 1000},
       {"GIB", 1 << 30}}};
  for (const auto& [name, bytes] : kUnits)
    if (unit == name) return bytes;
  return 0;
}

}  // namespace

std::int64_t parse_memory_size(const std::string& text) {
  std::string binary = text;  // 24G, 24GB -> 24GiB
  if (binary.ends_with('B') || binary.ends_with('b')) binary.pop_back();
  if (!binary.empty() && std::isalpha(static_cast<unsigned char>(binary.back())) != 0 &&
      std::tolower(static_cast<unsigned char>(binary.back())) != 'i')
    return parse_bytes(binary + "iB");
  return parse_bytes(text);
}

std::string memory_size_problem(const std::string& text) {
  try {
    return parse_memory_size(text) > 0 ? std::string() : "expected a size over 0";
  } catch (const Error& error) {
    return error.what();
  }
}

std::int64_t parse_bytes(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::int64_t unit = unit_bytes(std::string(end, text.data() + text.size()));
  if (ec != std::errc() || number < 0 || unit == 0 ||
      number > std::numeric_limits<std::int64_t>::max() / unit)
    throw Error(fmt::format("'{}' is no size", text),
                "Give bytes, or a number with KiB, MiB, GiB, KB, MB or GB.");
  return number * unit;
}

}  // namespace lmdeploy::cli
