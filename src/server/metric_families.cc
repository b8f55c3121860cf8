#include "server/metric_families.h"

#include <algorithm>

namespace lmdeploy {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric sample(MetricType type, double value, MetricLabels labels) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return metric;
}

template <typename Number>
MetricFamily family(MetricType type, std::string name, std::string help, Number value, MetricLabels labels) {
  return {
      std::move(name), std::move(help), type, {sample(type, static_cast<double>(value), std::move(labels))}};
}

MetricLabels with(MetricLabels labels, std::string name, std::string value) {
  labels.push_back({std::move(name), std::move(value)});
  return labels;
}

MetricFamily block_family(const EngineStats& stats, const MetricLabels& labels) {
  const auto num_free = stats.num_blocks - stats.num_used_blocks - stats.num_cached_blocks;
  MetricFamily blocks{"lmdeploy:kv_blocks",
                      "Blocks of the KV cache by state; cached ones count as free.",
                      MetricType::Gauge,
                      {}};
  for (const auto& [state, num] : {std::pair<const char*, std::int64_t>{"used", stats.num_used_blocks},
                                   {"cached", stats.num_cached_blocks},
                                   {"free", num_free}})
    blocks.metric.push_back(
        sample(MetricType::Gauge, static_cast<double>(num), with(labels, "state", state)));
  return blocks;
}

// Routers that know vLLM read the block length and the number of blocks from these labels.
MetricFamily cache_config_family(const EngineStats& stats, const MetricLabels& labels) {
  return family(MetricType::Gauge, "lmdeploy:cache_config_info", "The KV cache's configuration, in labels.",
                1,
                with(with(labels, "block_size", std::to_string(stats.block_len)), "num_gpu_blocks",
                     std::to_string(stats.num_blocks)));
}

}  // namespace

MetricLabels engine_labels(const std::string& model_name) {
  return {{"engine", "0"}, {"model_name", model_name}};
}

std::vector<MetricFamily> engine_families(const EngineStats& stats, const MetricLabels& labels) {
  constexpr auto kGauge = MetricType::Gauge;
  constexpr auto kCounter = MetricType::Counter;
  const double usage = static_cast<double>(stats.num_used_blocks) /
                       static_cast<double>(std::max<std::int64_t>(stats.num_blocks, 1));
  return {
      family(kGauge, "lmdeploy:num_requests_running", "Requests in the running batch.", stats.num_running,
             labels),
      family(kGauge, "lmdeploy:num_requests_waiting", "Requests that wait for their turn.", stats.num_waiting,
             labels),
      family(kGauge, "lmdeploy:kv_cache_usage_perc",
             "Share of the KV cache's blocks that requests use, 0 to 1.", usage, labels),
      block_family(stats, labels),
      family(kGauge, "lmdeploy:kv_cache_resident_bytes",
             "Memory that the KV cache has taken so far of what it has reserved.", stats.resident_bytes,
             labels),
      cache_config_family(stats, labels),
      family(kCounter, "lmdeploy:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
             stats.num_cache_query_tokens, labels),
      family(kCounter, "lmdeploy:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.",
             stats.num_cache_hit_tokens, labels),
      family(kCounter, "lmdeploy:num_preemptions_total",
             "Requests that gave back their blocks, to be computed again.", stats.num_preemptions, labels),
      family(kCounter, "lmdeploy:prompt_tokens_total",
             "Prompt tokens of the requests whose prompts are computed.", stats.num_prompt_tokens, labels),
      family(kCounter, "lmdeploy:generation_tokens_total", "Tokens drawn.", stats.num_generated_tokens,
             labels),
      family(kCounter, "lmdeploy:computed_tokens_total",
             "Tokens of prompts and answers that passed the model, recomputation included.",
             stats.num_computed_tokens, labels),
  };
}

std::vector<MetricFamily> process_families(const ProcessStats& stats) {
  constexpr auto kGauge = MetricType::Gauge;
  return {
      family(kGauge, "process_resident_memory_bytes", "Resident memory in bytes.", stats.resident_bytes, {}),
      family(kGauge, "process_virtual_memory_bytes",
             "Address space in bytes; the KV cache's is reserved at once.", stats.virtual_bytes, {}),
      family(MetricType::Counter, "process_cpu_seconds_total", "User and system CPU time in seconds.",
             stats.cpu_seconds, {}),
      family(kGauge, "process_open_fds", "Open file descriptors.", stats.num_open_fds, {}),
      family(kGauge, "process_max_fds", "Most file descriptors that may be open.", stats.max_fds, {}),
      family(kGauge, "process_threads", "Threads.", stats.num_threads, {}),
      family(kGauge, "process_start_time_seconds", "Unix time of the start in seconds.",
             stats.start_time_seconds, {}),
  };
}

}  // namespace lmdeploy
