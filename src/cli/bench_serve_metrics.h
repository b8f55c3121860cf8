#pragma once
// From the times of requests to the figures of `vllm bench serve`, by its definitions.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lmdeploy::cli {

// One request as the client saw it. Seconds; times count from the beginning of the run.
struct ServeRecord {
  bool succeeded = false;
  std::string error;         // where it did not
  double start = 0;          // when it was sent
  double ttft = 0;           // from there to the first chunk with text
  double latency = 0;        // from there to the last chunk with text
  std::vector<double> itls;  // between one chunk with text and the next
  std::int64_t prompt_len = 0;
  std::int64_t output_len = 0;  // tokens, as the server's usage counts them
  std::string text;
};

// The times of one kind, in milliseconds.
struct TimeSummary {
  double mean = 0;
  double median = 0;
  double std = 0;                   // of the population, as NumPy's
  std::vector<double> percentiles;  // in the order that was asked for
};

// NumPy's default, linear between the two nearest ranks. sorted: ascending, not empty; percent in [0, 100].
double percentile(std::span<const double> sorted, double percent);
TimeSummary summarize(std::vector<double> milliseconds, std::span<const double> percents);  // empty: zeros

// "ttft:200" and the like: the longest times, in milliseconds, of a request that counts as good. 0: no limit.
struct Goodput {
  double ttft = 0;
  double tpot = 0;
  double e2el = 0;

  bool asked() const { return ttft > 0 || tpot > 0 || e2el > 0; }
};

struct ServeMetrics {
  std::int64_t completed = 0;
  std::int64_t failed = 0;
  std::int64_t total_input_tokens = 0;
  std::int64_t total_output_tokens = 0;
  double duration = 0;  // seconds
  double request_throughput = 0;
  double request_goodput = 0;
  double output_throughput = 0;
  double total_token_throughput = 0;
  double max_output_tokens_per_s = 0;  // the best second of the run, seconds counted from its beginning
  std::int64_t max_concurrent_requests = 0;
  TimeSummary ttft, tpot, itl, e2el;
};

// tpot of a request: (latency - ttft) / (output_len - 1), where output_len > 1; itl: all gaps of all
// requests.
ServeMetrics compute_metrics(std::span<const ServeRecord> records, double duration,
                             std::span<const double> percents, const Goodput& goodput);

}  // namespace lmdeploy::cli
