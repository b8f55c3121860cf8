#pragma once
// The random signs of the rotation of int4 keys and of the queries that meet them (docs/kv_cache.md). Bits of
// splitmix64 (Steele, Lea, Flood 2014) from seed 0: fixed, so that an answer is the same on every machine.
#include <cstdint>

namespace lmdeploy::ops {

inline constexpr std::int64_t kMaxHeadDim = 1024;

struct KeySigns {
  float at[kMaxHeadDim];  // 1 or -1
};

consteval KeySigns make_key_signs() {
  KeySigns signs{};
  std::uint64_t state = 0;
  for (std::int64_t i = 0; i < kMaxHeadDim; i++) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t x = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    signs.at[i] = (x ^ (x >> 31)) >> 63 == 0 ? 1.0F : -1.0F;
  }
  return signs;
}

inline constexpr KeySigns kKeySigns = make_key_signs();

}  // namespace lmdeploy::ops
