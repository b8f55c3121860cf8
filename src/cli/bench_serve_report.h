#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench_serve_metrics.h"

namespace lmdeploy::cli {

struct ReportOptions {
  std::vector<std::string> metrics = {"ttft", "tpot", "itl", "e2el"};
  std::vector<double> percents = {99};
  bool has_goodput = false;
  double request_rate = 0;  // 0: all at once
  std::optional<std::size_t> max_concurrency;
};

// The lines of `vllm bench serve`, and the causes of failures with their counts below them.
std::string format_report(const ServeMetrics& metrics, const std::vector<ServeRecord>& records,
                          const ReportOptions& options);

// The keys of its result file.
nlohmann::ordered_json metrics_json(const ServeMetrics& metrics, const ReportOptions& options);
// What --save-detailed adds: one entry for each request.
nlohmann::ordered_json details_json(const std::vector<ServeRecord>& records);

}  // namespace lmdeploy::cli
