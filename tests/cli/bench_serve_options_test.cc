#include "cli/bench_serve_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

using ::testing::ElementsAre;

TEST(BenchServeOptions, RatesAreANumberOrInf) {
  BenchServeOptions options;
  EXPECT_EQ(arrival_options(options).request_rate, 0);
  options.request_rate = "2.5";
  EXPECT_EQ(arrival_options(options).request_rate, 2.5);
  for (const char* bad : {"", "0", "-1", "fast", "nan", "1x"}) {
    options.request_rate = bad;
    EXPECT_THROW(arrival_options(options), UsageError) << bad;
  }
}

TEST(BenchServeOptions, ListsOfTimesAndPercentiles) {
  BenchServeOptions options;
  options.percentile_metrics = "itl,e2el";
  options.metric_percentiles = "50,99.9";
  EXPECT_THAT(report_options(options).metrics, ElementsAre("itl", "e2el"));
  EXPECT_THAT(report_options(options).percents, ElementsAre(50, 99.9));
  for (const char* bad : {"", "101", "-1", "50,", "a"}) {
    options.metric_percentiles = bad;
    EXPECT_THROW(report_options(options), UsageError) << bad;
  }
  options.metric_percentiles = "50";
  options.percentile_metrics = "ttft,latency";
  EXPECT_THROW(report_options(options), UsageError);
}

TEST(BenchServeOptions, GoodputNamesItsLimits) {
  BenchServeOptions options;
  options.goodput = {"ttft:200", "e2el:5000"};
  const Goodput goodput = goodput_options(options);
  EXPECT_EQ(goodput.ttft, 200);
  EXPECT_EQ(goodput.tpot, 0);
  EXPECT_EQ(goodput.e2el, 5000);
  EXPECT_TRUE(report_options(options).has_goodput);
  for (const char* bad : {"ttft", "ttft:", "ttft:x", "ttft:0", "itl:5", ":5"}) {
    options.goodput = {bad};
    EXPECT_THROW(goodput_options(options), UsageError) << bad;
  }
}

TEST(BenchServeOptions, PairsAndJson) {
  EXPECT_THAT(key_values({"a=b=c", "d="}, "--metadata"),
              ElementsAre(std::pair("a", "b=c"), std::pair("d", "")));
  EXPECT_THROW(key_values({"a"}, "--metadata"), UsageError);
  BenchServeOptions options;
  EXPECT_TRUE(extra_body(options).empty());
  options.extra_body = R"({"top_k": 4})";
  EXPECT_EQ(extra_body(options)["top_k"], 4);
  options.extra_body = "[]";
  EXPECT_THROW(extra_body(options), UsageError);
}

}  // namespace
}  // namespace lmdeploy::cli
