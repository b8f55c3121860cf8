#pragma once
#include <cmath>
#include <cstdint>
#include <optional>

namespace lmdeploy {

// The integer that a JSON number means, also one that a tool wrote as 4096.0. Empty where it has a fraction,
// or where a double is too large to tell it from its neighbours (beyond 2^53).
inline std::optional<std::int64_t> exact_integer(double number) {
  constexpr double kMaxExact = 9007199254740992;
  if (!(std::abs(number) <= kMaxExact) || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

}  // namespace lmdeploy
