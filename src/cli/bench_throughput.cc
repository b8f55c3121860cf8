// lmdeploy bench throughput: many requests at once, in this process, beside the machine's ceilings.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/format_bytes.h"
#include "cli/bench_setup.h"
#include "cli/command.h"

namespace lmdeploy::cli {
namespace {

// The least time that the whole load takes: each prompt at the dot peak, and decode steps of full batches.
double floor_seconds(const BenchOptions& options, const BenchCost& cost) {
  const BenchLoad& load = options.load;
  const std::int32_t batch_size = std::min(options.engine.max_batch_size, load.num_requests);
  const double num_steps = static_cast<double>(load.num_requests) / batch_size * (load.output_len - 1);
  return load.num_requests * cost.prefill_seconds(load.input_len) +
         num_steps * cost.decode_seconds(batch_size, load.input_len + load.output_len / 2.0);
}

double percentile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1))];
}

nlohmann::ordered_json make_report(const BenchOptions& options, const std::vector<RequestTimes>& times,
                                   const BenchCost& cost, const BenchMachine& machine) {
  const BenchLoad& load = options.load;
  std::vector<double> ttft, tpot;
  double seconds = 0;
  std::int64_t num_output_tokens = 0;
  for (const RequestTimes& request : times) {
    ttft.push_back(1e3 * request.first);
    tpot.push_back(1e3 * (request.last - request.first) / std::max(1, request.num_tokens - 1));
    seconds = std::max(seconds, request.last);
    num_output_tokens += request.num_tokens;
  }
  const auto num_input_tokens = std::int64_t{load.num_requests} * load.input_len;
  return {{"num_prompts", load.num_requests},
          {"input_len", load.input_len},
          {"output_len", load.output_len},
          {"seconds", seconds},
          {"requests_per_s", load.num_requests / seconds},
          {"total_tokens_per_s", static_cast<double>(num_input_tokens + num_output_tokens) / seconds},
          {"output_tokens_per_s", static_cast<double>(num_output_tokens) / seconds},
          {"p50_ttft_ms", percentile(ttft, 0.5)},
          {"p99_ttft_ms", percentile(ttft, 0.99)},
          {"p50_tpot_ms", percentile(tpot, 0.5)},
          {"p99_tpot_ms", percentile(tpot, 0.99)},
          {"floor_seconds", floor_seconds(options, cost)},
          {"fraction_of_floor", floor_seconds(options, cost) / seconds},
          {"machine_read_gb_per_s", machine.roofs.read_bytes_per_s / 1e9},
          {"machine_dot_gflop_per_s", machine.roofs.bf16_flops / 1e9},
          {"machine_int8_gop_per_s", machine.roofs.int8_ops / 1e9},
          {"peak_resident_bytes", machine.peak_resident_bytes}};
}

void print(const nlohmann::ordered_json& report) {
  const auto value = [&](const char* key) { return report.at(key).get<double>(); };
  fmt::print("machine     read {:.1f} GB/s, dot peak {:.0f} GFLOP/s, of int8 {:.0f} (measured in this run)\n",
             value("machine_read_gb_per_s"), value("machine_dot_gflop_per_s"),
             value("machine_int8_gop_per_s"));
  fmt::print("throughput  {:.2f} requests/s, {:.1f} total tok/s, {:.1f} output tok/s\n",
             value("requests_per_s"), value("total_tokens_per_s"), value("output_tokens_per_s"));
  fmt::print("TTFT        p50 {:.1f} ms, p99 {:.1f} ms\n", value("p50_ttft_ms"), value("p99_ttft_ms"));
  fmt::print("TPOT        p50 {:.2f} ms, p99 {:.2f} ms\n", value("p50_tpot_ms"), value("p99_tpot_ms"));
  fmt::print("floor       {:.2f} s at the machine's ceilings, {:.2f} s taken: {:.2f} of what is possible\n",
             value("floor_seconds"), value("seconds"), value("fraction_of_floor"));
  fmt::print("memory      peak RSS {}\n", format_bytes(report.at("peak_resident_bytes").get<std::int64_t>()));
}

int run(const BenchOptions& options) {
  const LoadedEngine loaded = load_bench_engine(options);
  std::vector<RequestTimes> times;
  const BenchMachine machine = measure_around(options.engine, [&] {
    BenchLoad warm_up = options.load;
    warm_up.num_requests = 1;
    warm_up.output_len = std::min(warm_up.output_len, 8);
    run_load(*loaded.engine, warm_up);
    times = run_load(*loaded.engine, options.load);
  });
  const BenchCost cost(loaded.config, loaded.engine->model().info(), machine.roofs,
                       multiplies_int8(loaded.config, options.engine));
  const nlohmann::ordered_json report = make_report(options, times, cost, machine);
  if (options.json)
    fmt::print("{}\n", report.dump());
  else
    print(report);
  return 0;
}

}  // namespace

Action setup_bench_throughput(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  options->load.num_requests = 32;
  add_bench_options(app, *options);
  app.add_option("--num-prompts", options->load.num_requests, "Requests in all, submitted at once (32)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 20))
      ->group("Benchmark");
  return [options] { return run(*options); };
}

}  // namespace lmdeploy::cli
