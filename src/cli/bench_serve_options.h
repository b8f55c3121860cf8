#pragma once
#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/bench_serve_arrivals.h"
#include "cli/bench_serve_dataset.h"
#include "cli/bench_serve_report.h"

namespace lmdeploy::cli {

// Options of `bench serve`, named as vLLM's. Values as on the command line; empty or 0: not given.
struct BenchServeOptions {
  std::string backend = "openai";
  std::string base_url = "http://127.0.0.1:23333";
  std::string endpoint;
  std::string api_key;
  std::vector<std::string> headers;  // NAME=VALUE
  std::string model;
  std::string served_model_name;
  std::string tokenizer;

  std::string dataset_name = "random";
  RandomPrompts random;
  std::string dataset_path;
  std::int64_t sharegpt_output_len = 0;
  std::int64_t custom_output_len = 256;
  std::size_t num_prompts = 1000;
  std::size_t num_warmups = 0;
  std::uint64_t seed = 0;

  std::string request_rate = "inf";
  double burstiness = 1;
  std::size_t max_concurrency = 0;
  bool ignore_eos = false;
  double temperature = 0;
  std::string extra_body;

  std::string percentile_metrics = "ttft,tpot,itl,e2el";
  std::string metric_percentiles = "99";
  std::vector<std::string> goodput;

  bool save_result = false;
  bool save_detailed = false;
  std::string result_dir;
  std::string result_filename;
  std::string label;
  std::vector<std::string> metadata;  // KEY=VALUE
  bool disable_tqdm = false;
};
void add_bench_serve_options(CLI::App& app, BenchServeOptions& options);

// What the words mean; each throws UsageError on words that mean nothing.
ArrivalOptions arrival_options(const BenchServeOptions& options);
ReportOptions report_options(const BenchServeOptions& options);
Goodput goodput_options(const BenchServeOptions& options);
std::vector<std::pair<std::string, std::string>> key_values(const std::vector<std::string>& words,
                                                            const std::string& option);
nlohmann::ordered_json extra_body(const BenchServeOptions& options);

}  // namespace lmdeploy::cli
