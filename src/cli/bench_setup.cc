#include "cli/bench_setup.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "base/log.h"
#include "cli/device_choice.h"
#include "cli/memory_estimate.h"
#include "cli/say.h"
#include "model/compute_context.h"

namespace lmdeploy::cli {
namespace {

// The highest resident set since the last call, which forgets it.
std::int64_t take_peak_resident_bytes() {
  std::int64_t peak_kib = 0;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") status >> peak_kib;
  constexpr const char* kResetPeak = "5";  // proc(5)
  std::ofstream("/proc/self/clear_refs") << kResetPeak;
  return peak_kib * 1024;
}

ops::Roofs measure_roofs(const EngineFlags& flags) {
  ComputeContext compute(find_device(flags.device), flags.num_threads);
  return ops::measure_roofs(compute.ctx());
}

}  // namespace

void add_bench_options(CLI::App& app, BenchOptions& options) {
  constexpr const char* kGroup = "Benchmark";
  add_model_options(app, options.model);
  app.add_option("--input-len", options.load.input_len, "Prompt tokens of a request, random ids (32)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 24))
      ->group(kGroup);
  app.add_option("--output-len", options.load.output_len, "Tokens of an answer (128)")
      ->option_text("N")
      ->check(CLI::Range(1, 1 << 24))
      ->group(kGroup);
  app.add_option("--seed", options.load.seed, "Of the random ids (0)")->option_text("N")->group(kGroup);
  app.add_flag("--json", options.json, "One JSON object on stdout")->group(kGroup);
  add_engine_options(app, options.engine);
}

LoadedEngine load_bench_engine(const BenchOptions& options) {
  init_log(options.model.log_level);
  EngineFlags flags = options.engine;
  if (flags.session_len == 0) flags.session_len = options.load.input_len + options.load.output_len;
  flags.max_batch_size = std::min(flags.max_batch_size, options.load.num_requests);
  const ModelSource source = find_model(options.model);
  const HfConfig config = load_hf_config(source.folder);
  const MemoryEstimate estimate = estimate_memory(source, config, options.model.dtype, flags);
  LoadedEngine loaded = load_engine(source, config, options.model.dtype, flags, estimate.plan);
  say(loaded.summary);
  return loaded;
}

BenchMachine measure_around(const EngineFlags& flags, const std::function<void()>& work) {
  BenchMachine machine;
  const std::int64_t peak_of_loading = take_peak_resident_bytes();
  const ops::Roofs before = measure_roofs(flags);
  take_peak_resident_bytes();
  work();
  machine.peak_resident_bytes = std::max(peak_of_loading, take_peak_resident_bytes());
  const ops::Roofs after = measure_roofs(flags);
  machine.roofs = {std::max(before.read_bytes_per_s, after.read_bytes_per_s),
                   std::max(before.bf16_flops, after.bf16_flops), std::max(before.int8_ops, after.int8_ops)};
  return machine;
}

}  // namespace lmdeploy::cli
