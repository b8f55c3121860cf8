// lmdeploy bench serve: load for a server that speaks OpenAI's API, in the language of `vllm bench serve`.
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/bench_serve_options.h"
#include "cli/bench_serve_run.h"
#include "cli/command.h"
#include "cli/environment.h"
#include "cli/interrupts.h"
#include "cli/model_source.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/usage_error.h"
#include "client/chat_client.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What requests call the model: a name of the server's, which may have been started with the folder's.
std::string find_model_name(client::ChatClient& client, const BenchServeOptions& options) {
  if (!options.served_model_name.empty()) return options.served_model_name;
  const std::vector<std::string> names = client.list_models();
  const bool is_listed = std::find(names.begin(), names.end(), options.model) != names.end();
  if (!is_listed && (options.model.empty() || fs::exists(options.model))) return names.front();
  return options.model;
}

std::string tokenizer_name(const BenchServeOptions& options) {
  return options.tokenizer.empty() ? options.model : options.tokenizer;
}

// Null where none is named and the prompts can do without.
std::unique_ptr<Tokenizer> load_tokenizer(const BenchServeOptions& options) {
  const bool is_optional = options.dataset_name == "custom";
  const std::string name = tokenizer_name(options);
  if (name.empty() || (options.tokenizer.empty() && !fs::exists(name))) {
    if (is_optional) return nullptr;
    throw UsageError(fmt::format("--dataset-name {} needs a tokenizer", options.dataset_name),
                     "Give the model's folder with --tokenizer.");
  }
  ModelOptions model;
  model.model = name;
  return Tokenizer::load(find_model(model).folder);
}

std::vector<BenchPrompt> load_prompts(const BenchServeOptions& options) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(options);
  const std::size_t num_prompts = options.num_prompts + options.num_warmups;
  if (options.dataset_name == "random")
    return make_random_prompts(*tokenizer, options.random, num_prompts, options.seed);
  if (options.dataset_path.empty())
    throw UsageError(fmt::format("--dataset-name {} needs --dataset-path", options.dataset_name),
                     "See: lmdeploy bench serve --help");
  if (options.dataset_name == "custom")
    return read_custom(tokenizer.get(), {options.dataset_path, options.custom_output_len}, num_prompts);
  const std::int64_t output_len = options.sharegpt_output_len > 0 ? options.sharegpt_output_len : -1;
  return read_sharegpt(*tokenizer, {options.dataset_path, output_len}, num_prompts, options.seed);
}

ServeTarget make_target(const BenchServeOptions& options, const std::string& api_key) {
  client::ChatClient client(options.base_url, api_key);
  ServeTarget target;
  target.is_chat = options.backend == "openai-chat";
  target.url = client.url() + (!options.endpoint.empty() ? options.endpoint
                               : target.is_chat          ? "/v1/chat/completions"
                                                         : "/v1/completions");
  target.model = find_model_name(client, options);
  target.headers = {"Content-Type: application/json", "Accept: text/event-stream"};
  if (!api_key.empty()) target.headers.push_back("Authorization: Bearer " + api_key);
  for (const auto& [name, value] : key_values(options.headers, "--header"))
    target.headers.push_back(name + ": " + value);
  target.ignore_eos = options.ignore_eos;
  target.temperature = options.temperature;
  target.extra_body = extra_body(options);
  return target;
}

// Every request that runs is a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Json rate_json(const ReportOptions& report) {
  return report.request_rate > 0 ? Json(report.request_rate) : Json("inf");
}

void save(const BenchServeOptions& options, const ReportOptions& report, const std::string& model,
          const ServeMetrics& metrics, const std::vector<ServeRecord>& records) {
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y%m%d-%H%M%S", std::localtime(&now));
  Json json{{"date", date},
            {"endpoint_type", options.backend},
            {"backend", options.backend},
            {"label", options.label.empty() ? Json(nullptr) : Json(options.label)},
            {"model_id", model},
            {"tokenizer_id", tokenizer_name(options)},
            {"num_prompts", options.num_prompts}};
  for (const auto& [key, value] : key_values(options.metadata, "--metadata")) json[key] = value;
  json["request_rate"] = rate_json(report);
  json["burstiness"] = options.burstiness;
  json["max_concurrency"] = report.max_concurrency ? Json(*report.max_concurrency) : Json(nullptr);
  json.update(metrics_json(metrics, report));
  if (options.save_detailed) json.update(details_json(records));
  std::string name = options.result_filename;
  if (name.empty()) {
    const std::string rate = report.request_rate > 0 ? fmt::format("{}", report.request_rate) : "inf";
    const std::string limit =
        report.max_concurrency ? fmt::format("-concurrency{}", *report.max_concurrency) : "";
    name = fmt::format("{}-{}qps{}-{}-{}.json", options.label.empty() ? options.backend : options.label, rate,
                       limit, fs::path(model).filename().string(), date);
  }
  const fs::path path = fs::path(options.result_dir) / name;
  if (!options.result_dir.empty()) fs::create_directories(options.result_dir);
  std::ofstream file(path);
  file << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  if (!file.flush())
    throw Error(fmt::format("cannot write {}", path.string()), "Choose another --result-dir.");
  say("written to " + path.string());
}

int run(const BenchServeOptions& options, const std::string& api_key) {
  const ReportOptions report = report_options(options);
  const Goodput goodput = goodput_options(options);
  raise_descriptor_limit();
  const ServeTarget target = make_target(options, api_key);
  std::vector<BenchPrompt> prompts = load_prompts(options);
  const auto first_warmup = prompts.begin() + static_cast<std::ptrdiff_t>(options.num_prompts);
  const std::vector<BenchPrompt> warmups(first_warmup, prompts.end());
  prompts.erase(first_warmup, prompts.end());

  Interrupts interrupts;
  const auto go_on = [&](std::size_t) { return !interrupts.take(); };
  ServePace pace{.arrivals = std::vector<double>(warmups.size(), 0.0)};
  if (options.max_concurrency > 0) pace.max_concurrency = options.max_concurrency;
  run_serve_load(target, warmups, pace, go_on);

  pace.arrivals = arrival_times(prompts.size(), arrival_options(options));
  ServeRun result;
  {
    ProgressLine progress("requests", ProgressLine::Unit::count);
    result = run_serve_load(target, prompts, pace, [&](std::size_t num_done) {
      if (!options.disable_tqdm) progress.update(static_cast<std::int64_t>(num_done), std::ssize(prompts));
      return go_on(num_done);
    });
  }
  const ServeMetrics metrics = compute_metrics(result.records, result.duration, report.percents, goodput);
  fmt::print("{}", format_report(metrics, result.records, report));
  if (options.save_result || options.save_detailed)
    save(options, report, target.model, metrics, result.records);
  return metrics.completed > 0 ? 0 : 1;
}

}  // namespace

Action setup_bench_serve(CLI::App& app) {
  auto options = std::make_shared<BenchServeOptions>();
  add_bench_serve_options(app, *options);
  return [options] {
    const std::string api_key =
        options->api_key.empty() ? environment_variable("OPENAI_API_KEY").value_or("") : options->api_key;
    return run(*options, api_key);
  };
}

}  // namespace lmdeploy::cli
