#include "engine/keyed_hash.h"

#include <bit>

namespace lmdeploy {

void KeyedHash::round() noexcept {
  v0_ += v1_;
  v2_ += v3_;
  v1_ = std::rotl(v1_, 13) ^ v0_;
  v3_ = std::rotl(v3_, 16) ^ v2_;
  v0_ = std::rotl(v0_, 32);
  v2_ += v1_;
  v0_ += v3_;
  v1_ = std::rotl(v1_, 17) ^ v2_;
  v3_ = std::rotl(v3_, 21) ^ v0_;
  v2_ = std::rotl(v2_, 32);
}

void KeyedHash::compress(std::uint64_t word) noexcept {
  v3_ ^= word;
  round();
  round();
  v0_ ^= word;
}

void KeyedHash::add(std::uint64_t word) noexcept {
  compress(word);
  num_words_++;
}

std::uint64_t KeyedHash::value() const noexcept {
  KeyedHash end = *this;
  end.compress(num_words_ * 8 << 56);  // the length in bytes, its last byte only
  end.v2_ ^= 0xff;
  for (int i = 0; i < 4; i++) end.round();
  return end.v0_ ^ end.v1_ ^ end.v2_ ^ end.v3_;
}

}  // namespace lmdeploy
