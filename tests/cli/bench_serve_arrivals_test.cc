#include "cli/bench_serve_arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lmdeploy::cli {
namespace {

constexpr std::size_t kNumRequests = 20'000;

struct Gaps {
  double mean;
  double variation;  // standard deviation / mean
};

Gaps gaps_of(const std::vector<double>& times) {
  std::vector<double> gaps(times.size());
  std::adjacent_difference(times.begin(), times.end(), gaps.begin());
  const auto count = static_cast<double>(gaps.size());
  const double mean = std::accumulate(gaps.begin(), gaps.end(), 0.0) / count;
  double squares = 0;
  for (const double gap : gaps) squares += (gap - mean) * (gap - mean);
  return {mean, std::sqrt(squares / count) / mean};
}

TEST(Arrivals, WithoutARateAllComeAtOnce) {
  EXPECT_EQ(arrival_times(3, {}), (std::vector<double>{0, 0, 0}));
  EXPECT_TRUE(arrival_times(0, {.request_rate = 5}).empty());
}

TEST(Arrivals, AscendAndEndWhereTheRateSays) {
  const std::vector<double> times = arrival_times(100, {.request_rate = 8, .seed = 3});
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_GT(times.front(), 0);
  EXPECT_NEAR(times.back(), 100 / 8.0, 1e-9);
}

// A gamma distribution of shape b varies by 1 / sqrt(b); Poisson's gaps are the case b = 1.
TEST(Arrivals, GapsVaryAsTheBurstinessSays) {
  for (const double burstiness : {0.25, 1.0, 4.0, 100.0}) {
    const Gaps gaps = gaps_of(arrival_times(kNumRequests, {50, burstiness, 7}));
    EXPECT_NEAR(gaps.mean, 1 / 50.0, 1e-9) << burstiness;
    EXPECT_NEAR(gaps.variation * std::sqrt(burstiness), 1, 0.05) << burstiness;
  }
}

// Of a Poisson process: the share of gaps longer than t is exp(-rate t).
TEST(Arrivals, GapsOfBurstinessOneAreExponential) {
  std::vector<double> times = arrival_times(kNumRequests, {10, 1, 1});
  std::adjacent_difference(times.begin(), times.end(), times.begin());
  for (const double t : {0.02, 0.1, 0.3}) {
    const auto longer = std::count_if(times.begin(), times.end(), [&](double gap) { return gap > t; });
    EXPECT_NEAR(static_cast<double>(longer) / kNumRequests, std::exp(-10 * t), 0.015) << t;
  }
}

TEST(Arrivals, TheSeedDecides) {
  EXPECT_EQ(arrival_times(50, {4, 1, 9}), arrival_times(50, {4, 1, 9}));
  EXPECT_NE(arrival_times(50, {4, 1, 9}), arrival_times(50, {4, 1, 10}));
}

}  // namespace
}  // namespace lmdeploy::cli
