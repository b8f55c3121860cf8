#pragma once
#include <array>
#include <cstdint>

namespace lmdeploy {

using HashKey = std::array<std::uint64_t, 2>;  // random, one for each process

// SipHash-2-4 over words of 64 bits (J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input PRF, 2012):
// who does not know the key can neither predict a value nor make inputs that share one.
class KeyedHash {
 public:
  explicit KeyedHash(const HashKey& key) noexcept
      : v0_(key[0] ^ 0x736f6d6570736575),
        v1_(key[1] ^ 0x646f72616e646f6d),
        v2_(key[0] ^ 0x6c7967656e657261),
        v3_(key[1] ^ 0x7465646279746573) {}

  void add(std::uint64_t word) noexcept;

  // Of the words so far.
  std::uint64_t value() const noexcept;

 private:
  void compress(std::uint64_t word) noexcept;
  void round() noexcept;

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t num_words_ = 0;
};

}  // namespace lmdeploy
