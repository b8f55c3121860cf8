#include "base/format_bytes.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

TEST(FormatBytes, TakesTheLargestUnitThatFits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(102'131'302), "97.4 MiB");
  EXPECT_EQ(format_bytes((std::int64_t{1} << 30) - 1), "1024.0 MiB");
  EXPECT_EQ(format_bytes(14'721'000'000), "13.71 GiB");
  EXPECT_EQ(format_bytes(std::int64_t{5} << 42), "20.00 TiB");
}

}  // namespace
}  // namespace lmdeploy
