// lmdeploy bench latency: one batch at a time, in this process, beside the machine's ceilings.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/format_bytes.h"
#include "cli/bench_setup.h"
#include "cli/command.h"

namespace lmdeploy::cli {
namespace {

struct Options {
  BenchOptions bench;
  int num_iters_warmup = 1;
  int num_iters = 5;
};

// One iteration: means over the batch.
struct Latency {
  double ttft = 0;     // seconds to the first token
  double tpot = 0;     // seconds per token after it
  double prefill = 0;  // seconds until every request has its first token
  double total = 0;    // seconds until the last token
};

Latency measure(Engine& engine, const BenchLoad& load) {
  Latency latency;
  const std::vector<RequestTimes> times = run_load(engine, load);
  for (const RequestTimes& request : times) {
    latency.ttft += request.first / static_cast<double>(times.size());
    latency.prefill = std::max(latency.prefill, request.first);
    latency.total = std::max(latency.total, request.last);
  }
  // Until then some sequences decode while others are prefilled; after it the batch decodes as one.
  if (load.output_len > 1) latency.tpot = (latency.total - latency.prefill) / (load.output_len - 1);
  return latency;
}

template <class Field>
double median(const std::vector<Latency>& runs, Field field) {
  std::vector<double> values;
  for (const Latency& run : runs) values.push_back(run.*field);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

nlohmann::ordered_json make_report(const Options& options, const std::vector<Latency>& runs,
                                   const BenchCost& cost, const BenchMachine& machine) {
  const BenchLoad& load = options.bench.load;
  const Latency mid{median(runs, &Latency::ttft), median(runs, &Latency::tpot),
                    median(runs, &Latency::prefill), median(runs, &Latency::total)};
  const double mean_context = load.input_len + load.output_len / 2.0;
  const double prefill_floor = load.num_requests * cost.prefill_seconds(load.input_len);
  const double step_bytes = cost.decode_bytes(load.num_requests, mean_context);
  nlohmann::ordered_json report{{"input_len", load.input_len},
                                {"output_len", load.output_len},
                                {"batch_size", load.num_requests},
                                {"num_iters", options.num_iters},
                                {"median_ttft_ms", 1e3 * mid.ttft},
                                {"prefill_tokens_per_s", load.num_requests * load.input_len / mid.prefill},
                                {"prefill_fraction_of_dot_peak", prefill_floor / mid.prefill}};
  if (load.output_len > 1) {
    report["median_tpot_ms"] = 1e3 * mid.tpot;
    report["decode_tokens_per_s"] = load.num_requests / mid.tpot;
    report["decode_read_gb_per_s"] = step_bytes / mid.tpot / 1e9;
    report["decode_fraction_of_read_rate"] = step_bytes / mid.tpot / machine.roofs.read_bytes_per_s;
  }
  report["median_latency_s"] = mid.total;
  report["machine_read_gb_per_s"] = machine.roofs.read_bytes_per_s / 1e9;
  report["machine_dot_gflop_per_s"] = machine.roofs.bf16_flops / 1e9;
  report["machine_int8_gop_per_s"] = machine.roofs.int8_ops / 1e9;
  report["peak_resident_bytes"] = machine.peak_resident_bytes;
  return report;
}

void print(const nlohmann::ordered_json& report) {
  const auto value = [&](const char* key) { return report.at(key).get<double>(); };
  fmt::print("machine   read {:.1f} GB/s, dot peak {:.0f} GFLOP/s, of int8 {:.0f} (measured in this run)\n",
             value("machine_read_gb_per_s"), value("machine_dot_gflop_per_s"),
             value("machine_int8_gop_per_s"));
  fmt::print("prefill   TTFT {:.2f} ms, {:.1f} tok/s, {:.2f} of the dot peak\n", value("median_ttft_ms"),
             value("prefill_tokens_per_s"), value("prefill_fraction_of_dot_peak"));
  if (report.contains("median_tpot_ms"))
    fmt::print("decode    TPOT {:.2f} ms, {:.1f} tok/s, {:.1f} GB/s, {:.2f} of the read rate\n",
               value("median_tpot_ms"), value("decode_tokens_per_s"), value("decode_read_gb_per_s"),
               value("decode_fraction_of_read_rate"));
  fmt::print("batch     {:.3f} s, median of {}; peak RSS {}\n", value("median_latency_s"),
             report.at("num_iters").get<int>(),
             format_bytes(report.at("peak_resident_bytes").get<std::int64_t>()));
}

int run(const Options& options) {
  const LoadedEngine loaded = load_bench_engine(options.bench);
  std::vector<Latency> runs;
  const BenchMachine machine = measure_around(options.bench.engine, [&] {
    BenchLoad load = options.bench.load;
    for (int i = 0; i < options.num_iters_warmup; ++i, ++load.seed) run_load(*loaded.engine, load);
    for (int i = 0; i < options.num_iters; ++i, ++load.seed) runs.push_back(measure(*loaded.engine, load));
  });
  const BenchCost cost(loaded.config, loaded.engine->model().info(), machine.roofs,
                       multiplies_int8(loaded.config, options.bench.engine));
  const nlohmann::ordered_json report = make_report(options, runs, cost, machine);
  if (options.bench.json)
    fmt::print("{}\n", report.dump());
  else
    print(report);
  return 0;
}

}  // namespace

Action setup_bench_latency(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_bench_options(app, options->bench);
  app.add_option("--batch-size", options->bench.load.num_requests, "Requests at once (1)")
      ->option_text("N")
      ->check(CLI::Range(1, 65536))
      ->group("Benchmark");
  app.add_option("--num-iters-warmup", options->num_iters_warmup, "Batches before the clock runs (1)")
      ->option_text("N")
      ->check(CLI::Range(0, 10000))
      ->group("Benchmark");
  app.add_option("--num-iters", options->num_iters, "Batches that are measured (5)")
      ->option_text("N")
      ->check(CLI::Range(1, 10000))
      ->group("Benchmark");
  return [options] { return run(*options); };
}

}  // namespace lmdeploy::cli
