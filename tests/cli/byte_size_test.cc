#include "cli/byte_size.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

TEST(ByteSize, UnitsAreWhatTheySay) {
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("4KiB"), 4096);
  EXPECT_EQ(parse_bytes("4kb"), 4000);
  EXPECT_EQ(parse_bytes("3GB"), 3'000'000'000);
  EXPECT_EQ(parse_bytes("3GiB"), 3 * kGiB);
}

TEST(ByteSize, MemoryIsCountedAsItsVendorsDo) {
  for (const char* text : {"24GB", "24gb", "24G", "24g", "24GiB", "24gib", "25769803776", "25769803776B"})
    EXPECT_EQ(parse_memory_size(text), 24 * kGiB) << text;
  EXPECT_EQ(parse_memory_size("512MB"), kGiB / 2);
  EXPECT_EQ(parse_memory_size("8K"), 8192);
}

TEST(ByteSize, NonsenseIsRefused) {
  for (const char* text : {"", "GB", "-1GB", "1.5GB", "24TB", "24GBB", "x", "i", "iB", "99999999999GB"}) {
    EXPECT_THROW(parse_memory_size(text), Error) << text;
    EXPECT_NE(memory_size_problem(text), "") << text;
  }
  EXPECT_NE(memory_size_problem("0"), "");
  EXPECT_EQ(memory_size_problem("24GB"), "");
}

}  // namespace
}  // namespace lmdeploy::cli
