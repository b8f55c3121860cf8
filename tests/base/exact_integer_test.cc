#include "base/exact_integer.h"

#include <gtest/gtest.h>

#include <limits>

namespace lmdeploy {
namespace {

TEST(ExactInteger, WholeNumbersAreTaken) {
  EXPECT_EQ(exact_integer(4096.0), 4096);
  EXPECT_EQ(exact_integer(-0.0), 0);
  EXPECT_EQ(exact_integer(-3.0), -3);
  EXPECT_EQ(exact_integer(9007199254740992.0), std::int64_t{1} << 53);
}

TEST(ExactInteger, OthersAreNot) {
  EXPECT_EQ(exact_integer(0.5), std::nullopt);
  EXPECT_EQ(exact_integer(9007199254740994.0), std::nullopt);
  EXPECT_EQ(exact_integer(-1e300), std::nullopt);
  EXPECT_EQ(exact_integer(std::numeric_limits<double>::infinity()), std::nullopt);
  EXPECT_EQ(exact_integer(std::numeric_limits<double>::quiet_NaN()), std::nullopt);
}

}  // namespace
}  // namespace lmdeploy
