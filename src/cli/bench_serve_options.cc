#include "cli/bench_serve_options.h"

#include <algorithm>
#include <limits>

#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

constexpr std::int64_t kMaxLen = 1 << 24;
constexpr std::size_t kMaxRequests = 1 << 24;

void add_server_options(CLI::App& app, BenchServeOptions& options) {
  constexpr const char* kGroup = "Server";
  app.add_option("--backend", options.backend, "openai (completions) or openai-chat")
      ->option_text("NAME")
      ->check(CLI::IsMember({"openai", "openai-chat"}))
      ->group(kGroup);
  app.add_option("--base-url", options.base_url, "The server (http://127.0.0.1:23333)")
      ->option_text("URL")
      ->group(kGroup);
  app.add_option("--endpoint", options.endpoint, "Path of the route; default: the backend's below /v1")
      ->option_text("PATH")
      ->group(kGroup);
  app.add_option("--model", options.model,
                 "A model's name or folder; default: the first that the server names")
      ->option_text("NAME")
      ->group(kGroup);
  app.add_option("--served-model-name", options.served_model_name,
                 "What requests call the model, where it is not --model")
      ->option_text("NAME")
      ->group(kGroup);
  app.add_option("--tokenizer", options.tokenizer,
                 "A model folder, .gguf file or hub name whose tokenizer counts; default: --model")
      ->option_text("NAME")
      ->group(kGroup);
  app.add_option("--api-key", options.api_key, "Key to send; default: the environment's OPENAI_API_KEY")
      ->option_text("KEY")
      ->group(kGroup);
  app.add_option("--header", options.headers, "Further headers")->option_text("NAME=VALUE...")->group(kGroup);
}

void add_dataset_options(CLI::App& app, BenchServeOptions& options) {
  constexpr const char* kGroup = "Prompts";
  app.add_option("--dataset-name", options.dataset_name, "random, sharegpt or custom (random)")
      ->option_text("NAME")
      ->check(CLI::IsMember({"random", "sharegpt", "custom"}))
      ->group(kGroup);
  app.add_option("--dataset-path", options.dataset_path,
                 "sharegpt: its JSON file; custom: a file with {\"prompt\": ..} on each line")
      ->option_text("FILE")
      ->group(kGroup);
  app.add_option("--num-prompts", options.num_prompts, "Requests in all (1000)")
      ->option_text("N")
      ->check(CLI::Range(std::size_t{1}, kMaxRequests))
      ->group(kGroup);
  app.add_option("--num-warmups", options.num_warmups,
                 "Requests before the clock runs, with prompts of their own (0)")
      ->option_text("N")
      ->check(CLI::Range(std::size_t{0}, kMaxRequests))
      ->group(kGroup);
  app.add_option("--seed", options.seed,
                 "Of prompts and arrivals (0). The same prompts again meet a prefix cache")
      ->option_text("N")
      ->group(kGroup);
  const auto add_len = [&](const char* name, std::int64_t& len, std::int64_t min, const char* text) {
    app.add_option(name, len, text)->option_text("N")->check(CLI::Range(min, kMaxLen))->group(kGroup);
  };
  add_len("--random-input-len", options.random.input_len, 1, "Prompt tokens (1024)");
  add_len("--random-output-len", options.random.output_len, 1, "Tokens to ask for (128)");
  app.add_option("--random-range-ratio", options.random.range_ratio,
                 "Lengths are uniform in [N * (1 - X), N * (1 + X)] (0)")
      ->option_text("X")
      ->check(CLI::Range(0.0, 0.999))
      ->group(kGroup);
  add_len("--random-prefix-len", options.random.prefix_len, 0,
          "Tokens that all prompts begin with, before --random-input-len (0)");
  add_len("--sharegpt-output-len", options.sharegpt_output_len, 1,
          "Tokens to ask for; default: the length of the answer in the file");
  add_len("--custom-output-len", options.custom_output_len, -1,
          "Tokens to ask for; -1: \"output_tokens\" of each line (256)");
}

void add_load_options(CLI::App& app, BenchServeOptions& options) {
  constexpr const char* kGroup = "Load";
  app.add_option("--request-rate", options.request_rate, "Requests per second; inf: all at once (inf)")
      ->option_text("X")
      ->group(kGroup);
  app.add_option("--burstiness", options.burstiness,
                 "Shape of the gaps' gamma distribution: 1 is Poisson, less comes in bursts (1)")
      ->option_text("X")
      ->check(CLI::Range(1e-3, 1e3))
      ->group(kGroup);
  app.add_option("--max-concurrency", options.max_concurrency, "Requests that run at once; default: no limit")
      ->option_text("N")
      ->check(CLI::Range(std::size_t{1}, kMaxRequests))
      ->group(kGroup);
  app.add_flag("--ignore-eos", options.ignore_eos, "Answers go on to their full length")->group(kGroup);
  app.add_option("--temperature", options.temperature, "0 always takes the likeliest token (0)")
      ->option_text("X")
      ->check(CLI::Range(0.0, 100.0))
      ->group(kGroup);
  app.add_option("--extra-body", options.extra_body, "Fields that every request carries besides")
      ->option_text("JSON")
      ->group(kGroup);
}

void add_report_options(CLI::App& app, BenchServeOptions& options) {
  constexpr const char* kGroup = "Report";
  app.add_option("--percentile-metrics", options.percentile_metrics,
                 "Times that are reported (ttft,tpot,itl,e2el)")
      ->option_text("LIST")
      ->group(kGroup);
  app.add_option("--metric-percentiles", options.metric_percentiles,
                 "Percentiles of them, such as 50,90,99.9 (99)")
      ->option_text("LIST")
      ->group(kGroup);
  app.add_option("--goodput", options.goodput,
                 "Count requests within these times, such as ttft:200 e2el:5000 (ms)")
      ->option_text("TIME:MS...")
      ->group(kGroup);
  app.add_flag("--save-result", options.save_result, "Write a JSON file")->group(kGroup);
  app.add_flag("--save-detailed", options.save_detailed, "With every request's times and text in it")
      ->group(kGroup);
  app.add_option("--result-dir", options.result_dir, "Its folder; default: this one")
      ->option_text("FOLDER")
      ->group(kGroup);
  app.add_option("--result-filename", options.result_filename,
                 "Its name; default: made of rate, model and time")
      ->option_text("NAME")
      ->group(kGroup);
  app.add_option("--label", options.label, "Stands in the file and its name")
      ->option_text("TEXT")
      ->group(kGroup);
  app.add_option("--metadata", options.metadata, "Further keys of the file")
      ->option_text("KEY=VALUE...")
      ->group(kGroup);
  app.add_flag("--disable-tqdm", options.disable_tqdm, "No progress line")->group(kGroup);
}

double number(const std::string& text, const std::string& option, double min, double max) {
  std::size_t end = 0;
  double value = std::numeric_limits<double>::quiet_NaN();
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end != text.size() || text.empty() || !(value >= min && value <= max))
    throw UsageError(fmt::format("{}: '{}' is no number from {} to {}", option, text, min, max),
                     "See: lmdeploy bench serve --help");
  return value;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void check_metric(const std::string& name, std::initializer_list<std::string_view> known,
                  const std::string& option) {
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw UsageError(fmt::format("{} does not know '{}'", option, name),
                     fmt::format("It takes: {}.", fmt::join(known, ", ")));
}

}  // namespace

void add_bench_serve_options(CLI::App& app, BenchServeOptions& options) {
  add_server_options(app, options);
  add_dataset_options(app, options);
  add_load_options(app, options);
  add_report_options(app, options);
}

ArrivalOptions arrival_options(const BenchServeOptions& options) {
  ArrivalOptions arrival{0, options.burstiness, options.seed};
  if (options.request_rate != "inf")
    arrival.request_rate = number(options.request_rate, "--request-rate", 1e-6, 1e6);
  return arrival;
}

ReportOptions report_options(const BenchServeOptions& options) {
  ReportOptions report;
  report.metrics = split(options.percentile_metrics);
  for (const std::string& name : report.metrics)
    check_metric(name, {"ttft", "tpot", "itl", "e2el"}, "--percentile-metrics");
  report.percents.clear();
  for (const std::string& word : split(options.metric_percentiles))
    report.percents.push_back(number(word, "--metric-percentiles", 0, 100));
  report.has_goodput = goodput_options(options).asked();
  report.request_rate = arrival_options(options).request_rate;
  if (options.max_concurrency > 0) report.max_concurrency = options.max_concurrency;
  return report;
}

Goodput goodput_options(const BenchServeOptions& options) {
  Goodput goodput;
  for (const std::string& word : options.goodput) {
    const std::size_t colon = std::min(word.find(':'), word.size());
    const std::string name = word.substr(0, colon);
    check_metric(name, {"ttft", "tpot", "e2el"}, "--goodput");
    const double limit =
        number(colon < word.size() ? word.substr(colon + 1) : "", "--goodput " + name, 1e-6, 1e9);
    (name == "ttft" ? goodput.ttft : name == "tpot" ? goodput.tpot : goodput.e2el) = limit;
  }
  return goodput;
}

std::vector<std::pair<std::string, std::string>> key_values(const std::vector<std::string>& words,
                                                            const std::string& option) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError(fmt::format("{}: '{}' is no KEY=VALUE", option, word),
                       "See: lmdeploy bench serve --help");
    pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return pairs;
}

nlohmann::ordered_json extra_body(const BenchServeOptions& options) {
  if (options.extra_body.empty()) return nlohmann::ordered_json::object();
  auto json = nlohmann::ordered_json::parse(options.extra_body, nullptr, false);
  if (!json.is_object())
    throw UsageError(fmt::format("--extra-body: '{}' is no JSON object", options.extra_body),
                     "For example: --extra-body '{\"top_k\": 40}'");
  return json;
}

}  // namespace lmdeploy::cli
