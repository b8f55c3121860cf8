#pragma once
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/bench_serve_dataset.h"
#include "cli/bench_serve_metrics.h"

namespace lmdeploy::cli {

// How a prompt becomes a request.
struct ServeTarget {
  std::string url;                   // of the endpoint
  bool is_chat = false;              // the prompt is a user's message
  std::string model;                 // the request's `model`
  std::vector<std::string> headers;  // "Name: value"
  bool ignore_eos = false;
  double temperature = 0;
  nlohmann::ordered_json extra_body = nlohmann::ordered_json::object();  // fields beside ours, over ours
};

struct ServeRun {
  std::vector<ServeRecord> records;  // in the prompts' order
  double duration = 0;               // seconds, from the start to the end of the last request
};

struct ServePace {
  std::vector<double> arrivals;  // seconds after the start, one for each prompt, ascending
  std::size_t max_concurrency = std::numeric_limits<std::size_t>::max();
};

// Sends the prompts when they are due, as long as fewer than max_concurrency run, and follows their streams
// on the calling thread. on_progress(done) is called after each request and ten times a second; once it
// returns false what runs is cut off and counts as failed.
ServeRun run_serve_load(const ServeTarget& target, const std::vector<BenchPrompt>& prompts,
                        const ServePace& pace, const std::function<bool(std::size_t)>& on_progress);

}  // namespace lmdeploy::cli
