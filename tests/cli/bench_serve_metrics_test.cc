#include "cli/bench_serve_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/bench_serve_report.h"

namespace lmdeploy::cli {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNear = 1e-9;

// What numpy.percentile says of these.
TEST(Percentile, IsNumPys) {
  const std::vector<double> values{1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(percentile(values, 0), 1);
  EXPECT_DOUBLE_EQ(percentile(values, 50), 3);
  EXPECT_DOUBLE_EQ(percentile(values, 90), 6.8);
  EXPECT_DOUBLE_EQ(percentile(values, 99), 7.88);
  EXPECT_DOUBLE_EQ(percentile(values, 100), 8);
  EXPECT_DOUBLE_EQ(percentile(std::vector<double>{5}, 99), 5);
}

TEST(Summary, SortsAndTakesThePopulationsDeviation) {
  const std::vector<double> percents{99, 50};
  const TimeSummary summary = summarize({8, 1, 4, 2}, percents);
  EXPECT_DOUBLE_EQ(summary.mean, 3.75);
  EXPECT_DOUBLE_EQ(summary.median, 3);
  EXPECT_NEAR(summary.std, 2.6809513236909020, kNear);
  EXPECT_THAT(summary.percentiles, ElementsAre(DoubleEq(7.88), DoubleEq(3)));
  EXPECT_EQ(summarize({}, percents).percentiles.size(), 2U);
}

ServeRecord record(double start, double ttft, std::vector<double> itls, std::int64_t output_len) {
  ServeRecord record;
  record.succeeded = true;
  record.start = start;
  record.ttft = ttft;
  record.latency = ttft;
  for (const double gap : itls) record.latency += gap;
  record.itls = std::move(itls);
  record.prompt_len = 10;
  record.output_len = output_len;
  return record;
}

ServeRecord failure(const std::string& error) {
  ServeRecord record;
  record.error = error;
  return record;
}

// Two that overlap by a second, one token alone, and a failure that counts nowhere else.
std::vector<ServeRecord> records() {
  return {record(0, 0.5, {0.25, 0.25, 1}, 4), record(1, 0.1, {0.2}, 3), record(3.2, 0.4, {}, 1),
          failure("status 429: full")};
}

TEST(Metrics, FollowVllmsDefinitions) {
  const ServeMetrics metrics = compute_metrics(records(), 4, std::vector<double>{50}, {});
  EXPECT_EQ(metrics.completed, 3);
  EXPECT_EQ(metrics.failed, 1);
  EXPECT_EQ(metrics.total_input_tokens, 30);
  EXPECT_EQ(metrics.total_output_tokens, 8);
  EXPECT_DOUBLE_EQ(metrics.request_throughput, 0.75);
  EXPECT_DOUBLE_EQ(metrics.output_throughput, 2);
  EXPECT_DOUBLE_EQ(metrics.total_token_throughput, 38 / 4.0);
  EXPECT_NEAR(metrics.ttft.mean, 1000 / 3.0, kNear);
  EXPECT_NEAR(metrics.tpot.mean, (1500 / 3.0 + 200 / 2.0) / 2, kNear);  // an answer of one token has none
  EXPECT_NEAR(metrics.itl.median, 250, kNear);                          // of 0.2, 0.25, 0.25, 1
  EXPECT_NEAR(metrics.e2el.mean, (2000 + 300 + 400) / 3.0, kNear);
  EXPECT_EQ(metrics.max_concurrent_requests, 2);
  // Second 1 holds a chunk of the first (at 1.0) and both of the second, which make three tokens.
  EXPECT_DOUBLE_EQ(metrics.max_output_tokens_per_s, 4);
}

TEST(Metrics, GoodputAsksForEveryLimit) {
  const auto goodput = [](Goodput limits) {
    return compute_metrics(records(), 4, {}, limits).request_goodput;
  };
  EXPECT_DOUBLE_EQ(goodput({}), 0.75);
  EXPECT_DOUBLE_EQ(goodput({.ttft = 450}), 0.5);
  EXPECT_DOUBLE_EQ(goodput({.tpot = 150}), 0.5);
  EXPECT_DOUBLE_EQ(goodput({.ttft = 450, .e2el = 350}), 0.25);
  EXPECT_DOUBLE_EQ(goodput({.ttft = 1}), 0);
}

TEST(Metrics, OfFailuresAlone) {
  const std::vector<ServeRecord> failed{failure("x")};
  const ServeMetrics metrics = compute_metrics(failed, 0.5, std::vector<double>{99}, {});
  EXPECT_EQ(metrics.failed, 1);
  EXPECT_EQ(metrics.output_throughput, 0);
  EXPECT_EQ(metrics.itl.percentiles.at(0), 0);
}

TEST(Report, HasVllmsLinesAndTheCauses) {
  ReportOptions options;
  options.percents = {50, 99.9};
  options.has_goodput = true;
  options.request_rate = 2.5;
  options.max_concurrency = 8;
  const auto all = records();
  const std::string text = format_report(compute_metrics(all, 4, options.percents, {}), all, options);
  for (const char* line : {
           "============ Serving Benchmark Result ============\n",
           "Successful requests:                     3         \n",
           "Failed requests:                         1         \n",
           "Maximum request concurrency:             8         \n",
           "Request rate configured (RPS):           2.50      \n",
           "Benchmark duration (s):                  4.00      \n",
           "Total input tokens:                      30        \n",
           "Total generated tokens:                  8         \n",
           "Request goodput (req/s):                 0.75      \n",
           "Output token throughput (tok/s):         2.00      \n",
           "---------------Time to First Token----------------\n",
           "-----Time per Output Token (excl. 1st token)------\n",
           "---------------Inter-token Latency----------------\n",
           "----------------End-to-end Latency----------------\n",
           "P99.9 ITL (ms):                          ",
           "      1 x status 429: full\n",
       })
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(Report, TheFileHasVllmsKeys) {
  ReportOptions options;
  options.metrics = {"ttft", "itl"};
  options.percents = {90, 99};
  const auto all = records();
  const auto json = metrics_json(compute_metrics(all, 4, options.percents, {}), options);
  for (const char* key : {"duration", "completed", "failed", "total_input_tokens", "total_output_tokens",
                          "request_throughput", "request_goodput", "output_throughput",
                          "total_token_throughput", "max_output_tokens_per_s", "max_concurrent_requests",
                          "mean_ttft_ms", "median_ttft_ms", "std_ttft_ms", "p90_ttft_ms", "p99_itl_ms"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_FALSE(json.contains("mean_tpot_ms"));
  EXPECT_TRUE(json["request_goodput"].is_null());
  EXPECT_EQ(details_json(all)["errors"][3], "status 429: full");
  EXPECT_EQ(details_json(all)["itls"][0].size(), 3U);
}

}  // namespace
}  // namespace lmdeploy::cli
