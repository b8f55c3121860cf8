#include "cli/bench_serve_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kWidth = 50;

struct Kind {
  const char* name;   // in options and keys
  const char* label;  // of a line
  const char* title;  // of a block
  TimeSummary ServeMetrics::* summary;
};
constexpr Kind kKinds[] = {
    {"ttft", "TTFT", "Time to First Token", &ServeMetrics::ttft},
    {"tpot", "TPOT", "Time per Output Token (excl. 1st token)", &ServeMetrics::tpot},
    {"itl", "ITL", "Inter-token Latency", &ServeMetrics::itl},
    {"e2el", "E2EL", "End-to-end Latency", &ServeMetrics::e2el},
};

const Kind& kind_of(const std::string& name) {
  const auto* found =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) { return kind.name == name; });
  CHECK(found != std::end(kKinds), "metric {}", name);
  return *found;
}

// "99", "99.9": a whole number without its point.
std::string percent_text(double percent) {
  return fmt::format("{}", percent);
}

std::string line(const std::string& label, std::int64_t value) {
  return fmt::format("{:<40} {:<10}\n", label, value);
}
std::string line(const std::string& label, double value) {
  return fmt::format("{:<40} {:<10.2f}\n", label, value);
}

std::string totals(const ServeMetrics& metrics, const ReportOptions& options) {
  std::string text = line("Successful requests:", metrics.completed);
  text += line("Failed requests:", metrics.failed);
  if (options.max_concurrency)
    text += line("Maximum request concurrency:", static_cast<std::int64_t>(*options.max_concurrency));
  if (options.request_rate > 0) text += line("Request rate configured (RPS):", options.request_rate);
  text += line("Benchmark duration (s):", metrics.duration);
  text += line("Total input tokens:", metrics.total_input_tokens);
  text += line("Total generated tokens:", metrics.total_output_tokens);
  text += line("Request throughput (req/s):", metrics.request_throughput);
  if (options.has_goodput) text += line("Request goodput (req/s):", metrics.request_goodput);
  text += line("Output token throughput (tok/s):", metrics.output_throughput);
  text += line("Peak output token throughput (tok/s):", metrics.max_output_tokens_per_s);
  text += line("Peak concurrent requests:", static_cast<double>(metrics.max_concurrent_requests));
  text += line("Total token throughput (tok/s):", metrics.total_token_throughput);
  return text;
}

std::string block(const Kind& kind, const TimeSummary& summary, const std::vector<double>& percents) {
  std::string text = fmt::format("{:-^{}}\n", kind.title, kWidth);
  text += line(fmt::format("Mean {} (ms):", kind.label), summary.mean);
  text += line(fmt::format("Median {} (ms):", kind.label), summary.median);
  for (std::size_t i = 0; i < percents.size(); ++i)
    text += line(fmt::format("P{} {} (ms):", percent_text(percents[i]), kind.label), summary.percentiles[i]);
  return text;
}

std::string failures(const std::vector<ServeRecord>& records) {
  std::map<std::string, std::int64_t> causes;
  for (const ServeRecord& record : records)
    if (!record.succeeded) ++causes[record.error];
  if (causes.empty()) return {};
  std::string text = "Failures:\n";
  for (const auto& [cause, count] : causes) text += fmt::format("{:>7} x {}\n", count, cause);
  return text;
}

}  // namespace

std::string format_report(const ServeMetrics& metrics, const std::vector<ServeRecord>& records,
                          const ReportOptions& options) {
  std::string text = fmt::format("{:=^{}}\n", " Serving Benchmark Result ", kWidth);
  text += totals(metrics, options);
  for (const std::string& name : options.metrics) {
    const Kind& kind = kind_of(name);
    text += block(kind, metrics.*kind.summary, options.percents);
  }
  return text + std::string(kWidth, '=') + "\n" + failures(records);
}

Json metrics_json(const ServeMetrics& metrics, const ReportOptions& options) {
  Json json{{"duration", metrics.duration},
            {"completed", metrics.completed},
            {"failed", metrics.failed},
            {"total_input_tokens", metrics.total_input_tokens},
            {"total_output_tokens", metrics.total_output_tokens},
            {"request_throughput", metrics.request_throughput},
            {"request_goodput", options.has_goodput ? Json(metrics.request_goodput) : Json(nullptr)},
            {"output_throughput", metrics.output_throughput},
            {"total_token_throughput", metrics.total_token_throughput},
            {"max_output_tokens_per_s", metrics.max_output_tokens_per_s},
            {"max_concurrent_requests", metrics.max_concurrent_requests}};
  for (const std::string& name : options.metrics) {
    const TimeSummary& summary = metrics.*kind_of(name).summary;
    json[fmt::format("mean_{}_ms", name)] = summary.mean;
    json[fmt::format("median_{}_ms", name)] = summary.median;
    json[fmt::format("std_{}_ms", name)] = summary.std;
    for (std::size_t i = 0; i < options.percents.size(); ++i)
      json[fmt::format("p{}_{}_ms", percent_text(options.percents[i]), name)] = summary.percentiles[i];
  }
  return json;
}

Json details_json(const std::vector<ServeRecord>& records) {
  Json json{{"input_lens", Json::array()}, {"output_lens", Json::array()},    {"ttfts", Json::array()},
            {"itls", Json::array()},       {"latencies", Json::array()},      {"start_times", Json::array()},
            {"errors", Json::array()},     {"generated_texts", Json::array()}};
  for (const ServeRecord& record : records) {
    json["input_lens"].push_back(record.prompt_len);
    json["output_lens"].push_back(record.succeeded ? record.output_len : 0);
    json["ttfts"].push_back(record.ttft);
    json["itls"].push_back(record.itls);
    json["latencies"].push_back(record.latency);
    json["start_times"].push_back(record.start);
    json["errors"].push_back(record.error);
    json["generated_texts"].push_back(record.text);
  }
  return json;
}

}  // namespace lmdeploy::cli
