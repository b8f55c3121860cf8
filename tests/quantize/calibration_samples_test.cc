#include "quantize/calibration_samples.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/error.h"

namespace lmdeploy::testing {
namespace {

// A text whose tokens are their own places.
std::vector<std::int32_t> places(std::int32_t count) {
  std::vector<std::int32_t> text(static_cast<std::size_t>(count));
  std::iota(text.begin(), text.end(), 0);
  return text;
}

TEST(CalibrationSamples, SequentialOnesLieSideBySide) {
  const auto samples = choose_samples(places(100), {3, 20, SampleOrder::sequential, 0});
  EXPECT_EQ(samples.ids, places(60));
  EXPECT_EQ(samples.overlap, 0);
  EXPECT_EQ(samples.sample(2).front(), 40);
}

TEST(CalibrationSamples, RandomOnesDoNotOverlapInALongText) {
  for (const std::int32_t length : {60, 61, 75, 500}) {
    const auto samples = choose_samples(places(length), {3, 20, SampleOrder::random, 1});
    EXPECT_EQ(std::set<std::int32_t>(samples.ids.begin(), samples.ids.end()).size(), 60U) << length;
    EXPECT_EQ(samples.overlap, 0);
    for (int i = 0; i < 3; i++) EXPECT_EQ(samples.sample(i)[19] - samples.sample(i)[0], 19);
  }
}

TEST(CalibrationSamples, OverlapInAShortTextIsCounted) {
  const auto samples = choose_samples(places(30), {10, 20, SampleOrder::random, 1});
  EXPECT_EQ(samples.ids.size(), 200U);
  const std::set<std::int32_t> distinct(samples.ids.begin(), samples.ids.end());
  EXPECT_NEAR(samples.overlap, 1 - static_cast<double>(distinct.size()) / 200, 1e-12);
}

TEST(CalibrationSamples, TheSeedDecides) {
  const auto draw = [](std::uint64_t seed) {
    return choose_samples(places(10'000), {4, 50, SampleOrder::random, seed}).ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(CalibrationSamples, AShortTextIsRefusedWithWhatIsNeeded) {
  const auto problem = [](std::int32_t length, SampleOrder order) -> std::string {
    try {
      choose_samples(places(length), {3, 20, order, 0});
    } catch (const Error& error) {
      return error.problem();
    }
    return {};
  };
  EXPECT_NE(problem(19, SampleOrder::random).find("need 20"), std::string::npos);
  EXPECT_NE(problem(59, SampleOrder::sequential).find("need 60"), std::string::npos);
  EXPECT_EQ(problem(20, SampleOrder::random), "");
}

}  // namespace
}  // namespace lmdeploy::testing
