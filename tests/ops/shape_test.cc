#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/shape_matcher.h"

namespace lmdeploy::ops {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ShapeMatcher, NamesWhatDoesNotFit) {
  float data[6] = {};
  const View x(data, DType::f32, {2, 3});
  ShapeMatcher match("linear");
  match("x", x, "mk", {DType::f32, DType::bf16});
  EXPECT_EQ(match['m'], 2);
  EXPECT_EQ(match['k'], 3);
  EXPECT_THAT([&] { match("y", x, "kn", {DType::f32}); },
              ThrowsMessage<CheckFailure>(HasSubstr("linear: y has k = 2, the others have 3")));
  EXPECT_THAT([&] { match("y", x, "m", {DType::f32}); },
              ThrowsMessage<CheckFailure>(HasSubstr("linear: y is [2, 3], expected [m]")));
  EXPECT_THAT([&] { match("y", x, "mk", {DType::bf16}); },
              ThrowsMessage<CheckFailure>(HasSubstr("linear: y must not be float32")));
  EXPECT_THROW(match['q'], CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::ops
