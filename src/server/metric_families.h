#pragma once
// What is read at the moment somebody asks for /metrics. Private to metrics.cc.
#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "base/process_stats.h"
#include "engine/engine.h"

namespace lmdeploy {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// The labels of vLLM's series: engine and model_name.
MetricLabels engine_labels(const std::string& model_name);

std::vector<prometheus::MetricFamily> engine_families(const EngineStats& stats, const MetricLabels& labels);

// Under the names that Prometheus' own clients use, so without a prefix.
std::vector<prometheus::MetricFamily> process_families(const ProcessStats& stats);

}  // namespace lmdeploy
