#include "engine/keyed_hash.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

constexpr HashKey kPaperKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

// The vectors of the reference code for inputs of 0, 8 and 16 bytes: 00 01 02 ...
TEST(KeyedHash, IsSipHash24) {
  KeyedHash hash(kPaperKey);
  EXPECT_EQ(hash.value(), 0x726fdb47dd0e0e31);
  hash.add(0x0706050403020100);
  EXPECT_EQ(hash.value(), 0x93f5f5799a932462);
  hash.add(0x0f0e0d0c0b0a0908);
  EXPECT_EQ(hash.value(), 0x3f2acc7f57c29bdb);
}

TEST(KeyedHash, DependsOnTheKey) {
  KeyedHash one({1, 2});
  KeyedHash two({1, 3});
  one.add(5);
  two.add(5);
  EXPECT_NE(one.value(), two.value());
}

}  // namespace
}  // namespace lmdeploy
