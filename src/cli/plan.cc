// lmdeploy plan: what a server would take of the memory, from the model's headers alone.
#include "cli/plan.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/format_bytes.h"
#include "base/log.h"
#include "checkpoint/hf_config.h"
#include "cli/byte_size.h"
#include "cli/command.h"
#include "cli/model_headers.h"
#include "cli/plan_table.h"
#include "cli/say.h"

namespace lmdeploy::cli {
namespace {

constexpr const char* kGroup = "Plan";

// A change of the command line that saves memory.
struct Change {
  const char* text;
  bool quantizes;
  std::int32_t quant_policy;  // 0: as it was
};
constexpr Change kChanges[] = {
    {"--quant-policy 8", false, 8},
    {"--quant-policy 4", false, 4},
    {"--model-format awq, after `lmdeploy lite auto_awq`", true, 0},
    {"--model-format awq --quant-policy 4, after `lmdeploy lite auto_awq`", true, 4},
};

// What auto_awq makes of linear layers: 4 bits, in the largest of its groups that divides the inputs of all.
QuantFormat awq_format(const HfConfig& config) {
  for (const std::int64_t size : {128, 64, 32})
    if (config.hidden_size % size == 0 && config.intermediate_size % size == 0 &&
        config.num_attention_heads * config.head_dim % size == 0)
      return {4, size, DType::f16};
  throw Error("no group of 128, 64 or 32 inputs divides those of every linear layer",
              "This model cannot be quantised by auto_awq; leave out --model-format.");
}

class Planner {
 public:
  explicit Planner(const PlanOptions& options)
      : options_(options),
        headers_(find_headers(options.model)),
        config_(load_hf_config(headers_.source.folder)) {
    if (options.supposes_quantized && options.engine.model_format == "awq" && !config_.quantization)
      suppose_quantized(options_);
  }

  std::string model_name() const {
    const auto& rounding = options_.supposed.rounding;
    if (!rounding) return headers_.source.name;
    return fmt::format("{} in 4 bits (groups of {})", headers_.source.name, rounding->group_size);
  }

  MemoryEstimate estimate() const { return estimate(options_); }

  // What fits where the model as it was asked for does not; each on a new line.
  std::string what_fits() const {
    std::string lines;
    for (const Change& change : kChanges)
      if (!change.quantizes || !is_quantized()) lines += line_if_it_fits(change);
    return lines;
  }

 private:
  bool is_quantized() const { return config_.quantization || options_.supposed.rounding; }

  void suppose_quantized(PlanOptions& options) const {
    options.supposed.rounding = awq_format(config_);
    options.engine.model_format.clear();
  }

  MemoryEstimate estimate(const PlanOptions& options) const {
    return estimate_memory(headers_.source, config_, options.model.dtype, options.engine, options.supposed);
  }

  std::string line_if_it_fits(const Change& change) const {
    try {
      PlanOptions options = options_;
      if (change.quant_policy != 0) options.engine.quant_policy = change.quant_policy;
      if (change.quantizes) suppose_quantized(options);
      const MemoryPlan plan = estimate(options).plan;
      if (!plan.fits()) return {};
      return fmt::format("\n  {}: {} in all, {} tokens of cache", change.text,
                         format_bytes(plan.total_bytes()), plan.cache.num_tokens);
    } catch (const Error&) {
      return {};  // this model cannot be changed so
    }
  }

  PlanOptions options_;
  ModelHeaders headers_;
  HfConfig config_;
};

void print_text(const Planner& planner, const MemoryEstimate& estimate, const PlanOptions& options) {
  fmt::print("{}\n", plan_text(estimate, planner.model_name()));
  if (options.supposed.num_devices > 1)
    fmt::print("Of each of {} devices. Planned only: serving with --tp over 1 is not built yet.\n",
               options.supposed.num_devices);
  if (estimate.plan.fits()) return;
  try {
    check_fits(estimate.plan);
  } catch (const Error& error) {
    say(fmt::format("It does not fit: {}", error.what()));
  }
  const std::string fitting = planner.what_fits();
  if (!fitting.empty()) say("What fits:" + fitting);
}

}  // namespace

int run_plan(const PlanOptions& options) {
  init_log(options.model.log_level);
  const Planner planner(options);
  const MemoryEstimate estimate = planner.estimate();
  if (options.json) {
    nlohmann::ordered_json report = plan_json(estimate);
    report["num_devices"] = options.supposed.num_devices;
    fmt::print("{}\n", report.dump());
  } else {
    print_text(planner, estimate, options);
  }
  return estimate.plan.fits() ? 0 : 1;
}

Action setup_plan(CLI::App& app) {
  auto options = std::make_shared<PlanOptions>();
  options->supposes_quantized = true;
  add_model_options(app, options->model);
  add_engine_options(app, options->engine);
  app.add_flag("--json", options->json, "One JSON object on stdout, sizes in bytes")->group(kGroup);
  app.add_option_function<std::string>(
         "--other",
         [options](const std::string& text) { options->supposed.other_bytes = parse_memory_size(text); },
         "What else takes memory there, instead of what this program takes; of a GPU about 1GB")
      ->option_text("SIZE")
      ->check(memory_size_problem)
      ->group(kGroup);
  // Read here though the engine refuses it: a plan needs no kernels for it.
  const CLI::Option* tp = app.get_option("--tp")->check(CLI::Range(1, 1024));
  return [options, tp] {
    if (!tp->empty()) options->supposed.num_devices = tp->as<std::int32_t>();
    return run_plan(*options);
  };
}

}  // namespace lmdeploy::cli
