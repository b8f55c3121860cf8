#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

using ::testing::HasSubstr;

TEST(Error, KeepsProblemAndRemedyApart) {
  const Error error("no such file: a.gguf", "Check the path.");
  EXPECT_EQ(error.problem(), "no such file: a.gguf");
  EXPECT_EQ(error.remedy(), "Check the path.");
  EXPECT_STREQ(error.what(), "no such file: a.gguf\n  Check the path.");
}

TEST(Error, WithoutARemedyIsOneLine) {
  const Error error("port 23333 is taken");
  EXPECT_EQ(error.remedy(), "");
  EXPECT_STREQ(error.what(), "port 23333 is taken");
}

TEST(Check, PassesSilently) {
  EXPECT_NO_THROW(CHECK(1 + 1 == 2));
  EXPECT_NO_THROW(CHECK(true, "never formatted: {}", 1));
}

TEST(Check, TellsWhereWhatAndValues) {
  const int num_blocks = 3;
  try {
    CHECK(num_blocks == 4, "expected {}, found {}", 4, num_blocks);
    FAIL() << "CHECK let a false condition pass";
  } catch (const CheckFailure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("error_test.cc:"));
    EXPECT_THAT(failure.what(), HasSubstr("CHECK(num_blocks == 4) failed: expected 4, found 3"));
  }
}

TEST(Check, EvaluatesItsConditionOnce) {
  int calls = 0;
  const auto count = [&calls] { return ++calls > 0; };
  CHECK(count());
  EXPECT_EQ(calls, 1);
}

TEST(Check, IsNoError) {  // the server answers 500 to one and tells the user about the other
  EXPECT_THROW(CHECK(false), CheckFailure);
  try {
    CHECK(false);
  } catch (const Error&) {
    FAIL() << "a bug of ours must not look like the world's fault";
  } catch (const std::logic_error&) {
  }
}

}  // namespace
}  // namespace lmdeploy
