#pragma once
#include <cstdint>

namespace lmdeploy::ops {

// Uniform in [0, 1), a function of its arguments alone and the same on every device (SplitMix64's finaliser,
// Steele et al. 2014, twice).
inline double uniform(std::uint64_t seed, std::uint64_t draw) {
  const auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  };
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;
  const std::uint64_t bits = mix(mix(seed + kGolden) + (draw + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace lmdeploy::ops
