#include "cli/bench_serve_metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lmdeploy::cli {
namespace {

constexpr double kMsPerSecond = 1e3;

double tpot_of(const ServeRecord& record) {  // seconds
  if (record.output_len < 2) return 0;
  return (record.latency - record.ttft) / static_cast<double>(record.output_len - 1);
}

bool is_good(const ServeRecord& record, const Goodput& goodput) {
  const auto within = [](double seconds, double limit_ms) {
    return limit_ms <= 0 || seconds * kMsPerSecond <= limit_ms;
  };
  return within(record.ttft, goodput.ttft) && within(tpot_of(record), goodput.tpot) &&
         within(record.latency, goodput.e2el);
}

// Chunks with text in the run's best second. A chunk may hold several tokens: each of a request's stands for
// its share of them.
double best_second(std::span<const ServeRecord> records, double duration) {
  std::vector<double> tokens(static_cast<std::size_t>(duration) + 2, 0.0);
  for (const ServeRecord& record : records) {
    if (!record.succeeded) continue;
    const double share = static_cast<double>(record.output_len) / static_cast<double>(record.itls.size() + 1);
    double time = record.start + record.ttft;
    const auto count = [&] {
      tokens[std::min(static_cast<std::size_t>(std::max(0.0, time)), tokens.size() - 1)] += share;
    };
    count();
    for (const double gap : record.itls) {
      time += gap;
      count();
    }
  }
  return *std::max_element(tokens.begin(), tokens.end());
}

// Successful requests under way at one moment.
std::int64_t most_at_once(std::span<const ServeRecord> records) {
  struct Change {
    double time;
    int delta;
  };
  std::vector<Change> changes;
  for (const ServeRecord& record : records) {
    if (!record.succeeded) continue;
    changes.push_back({record.start, 1});
    changes.push_back({record.start + record.latency, -1});
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.time != b.time ? a.time < b.time : a.delta < b.delta;
  });
  std::int64_t running = 0, most = 0;
  for (const Change& change : changes) most = std::max(most, running += change.delta);
  return most;
}

}  // namespace

double percentile(std::span<const double> sorted, double percent) {
  const double rank = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(rank));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], rank - static_cast<double>(below));
}

TimeSummary summarize(std::vector<double> milliseconds, std::span<const double> percents) {
  TimeSummary summary;
  summary.percentiles.resize(percents.size());
  if (milliseconds.empty()) return summary;
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto count = static_cast<double>(milliseconds.size());
  summary.mean = std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0) / count;
  summary.median = percentile(milliseconds, 50);
  double squares = 0;
  for (const double value : milliseconds) squares += (value - summary.mean) * (value - summary.mean);
  summary.std = std::sqrt(squares / count);
  std::transform(percents.begin(), percents.end(), summary.percentiles.begin(),
                 [&](double percent) { return percentile(milliseconds, percent); });
  return summary;
}

ServeMetrics compute_metrics(std::span<const ServeRecord> records, double duration,
                             std::span<const double> percents, const Goodput& goodput) {
  ServeMetrics metrics;
  metrics.duration = duration;
  std::vector<double> ttft, tpot, itl, e2el;
  std::int64_t num_good = 0;
  for (const ServeRecord& record : records) {
    if (!record.succeeded) {
      ++metrics.failed;
      continue;
    }
    ++metrics.completed;
    metrics.total_input_tokens += record.prompt_len;
    metrics.total_output_tokens += record.output_len;
    num_good += is_good(record, goodput) ? 1 : 0;
    ttft.push_back(record.ttft * kMsPerSecond);
    e2el.push_back(record.latency * kMsPerSecond);
    if (record.output_len > 1) tpot.push_back(tpot_of(record) * kMsPerSecond);
    for (const double gap : record.itls) itl.push_back(gap * kMsPerSecond);
  }
  const auto rate = [&](std::int64_t amount) { return static_cast<double>(amount) / duration; };
  metrics.request_throughput = rate(metrics.completed);
  metrics.request_goodput = rate(num_good);
  metrics.output_throughput = rate(metrics.total_output_tokens);
  metrics.total_token_throughput = rate(metrics.total_input_tokens + metrics.total_output_tokens);
  metrics.max_output_tokens_per_s = best_second(records, duration);
  metrics.max_concurrent_requests = most_at_once(records);
  metrics.ttft = summarize(std::move(ttft), percents);
  metrics.tpot = summarize(std::move(tpot), percents);
  metrics.itl = summarize(std::move(itl), percents);
  metrics.e2el = summarize(std::move(e2el), percents);
  return metrics;
}

}  // namespace lmdeploy::cli
