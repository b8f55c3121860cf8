#include "cli/engine_loader.h"

#include <optional>

#include "base/error.h"
#include "base/format_bytes.h"
#include "base/log.h"
#include "cli/calibration_text.h"
#include "cli/device_choice.h"
#include "cli/stopwatch.h"
#include "model/compute_context.h"
#include "model/registry.h"

namespace lmdeploy::cli {
namespace {

// Empty for auto: the format that config.json names.
std::optional<DType> parse_dtype(const std::string& name) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
    if (name == dtype_name(dtype)) return dtype;
  CHECK(name == "auto", "--dtype {} passed the table of known values", name);
  return std::nullopt;
}

// On a card few rows wait for the weights whatever is multiplied: rounding x would gain nothing.
std::string w4_arithmetic(const EngineFlags& flags, Device device) {
  if (!flags.w4_arithmetic.empty()) return flags.w4_arithmetic;
  return device == Device::cpu ? "fast" : "exact";
}

// ", AWQ, 4 bits, groups of 128 (exact), repacked" or nothing.
std::string storage(const HfConfig& config, const EngineFlags& flags, Device device) {
  if (!config.quantization) return {};
  const bool is_settled = config.quantization->int8_activations || config.quantization->holds_floats();
  const std::string arithmetic = is_settled ? "" : fmt::format(" ({})", w4_arithmetic(flags, device));
  return fmt::format(", {}{}, repacked", config.quantization->to_string(), arithmetic);
}

}  // namespace

bool multiplies_int8(const HfConfig& config, const EngineFlags& flags) {
  return config.quantization && !config.quantization->holds_floats() &&
         (config.quantization->int8_activations || w4_arithmetic(flags, find_device(flags.device)) == "fast");
}

LoadOptions load_options(Device device, const std::string& dtype, const EngineFlags& flags) {
  LoadOptions options;
  options.dtype = parse_dtype(dtype);
  options.session_len = flags.session_len;
  options.block_len = flags.cache_block_seq_len;
  options.kv_bits = flags.quant_policy;
  options.model_format = flags.model_format;
  options.activations = w4_arithmetic(flags, device) == "fast" ? ops::Activations::int8_per_group
                                                               : ops::Activations::as_they_are;
  options.head_bits = flags.head_bits;
  return options;
}

std::unique_ptr<const Model> load_weights(Ctx& ctx, const ModelSource& source, const HfConfig& config,
                                          const std::string& dtype, const EngineFlags& flags,
                                          const TokenizerOf& tokenizer) {
  LoadOptions options = load_options(ctx.device, dtype, flags);
  if (options.kv_bits == 4)
    options.calibration_ids = tokenizer ? calibration_ids(tokenizer()) : calibration_ids(source.folder);
  std::unique_ptr<const Model> model = load_model(ctx, source.folder, config, options);
  if (options.kv_bits == 4) log::info("int4 keys are centred by {}", model->info().key_centers.origin);
  return model;
}

EngineOptions engine_options(Device device, const EngineFlags& flags, const MemoryPlan& plan) {
  EngineOptions options;
  options.device = device;
  options.session_len = flags.session_len;
  options.max_batch_size = flags.max_batch_size;
  options.max_prefill_token_num = flags.max_prefill_token_num;
  options.cache_bytes = plan.cache.bytes;
  options.workspace_bytes = plan.needs.workspace_bytes;
  options.num_threads = flags.num_threads;
  options.enable_prefix_caching = flags.enable_prefix_caching;
  options.eager = flags.eager;
  options.deterministic = flags.deterministic;
  options.max_queue_len = flags.max_queue_len;
  options.max_queue_tokens = flags.max_queue_tokens;
  return options;
}

LoadedEngine load_engine(const ModelSource& source, const HfConfig& config, const std::string& dtype,
                         const EngineFlags& flags, const MemoryPlan& plan, const TokenizerOf& tokenizer) {
  check_fits(plan);
  const Stopwatch watch;
  LoadedEngine loaded;
  loaded.config = config;
  const EngineOptions options = engine_options(find_device(flags.device), flags, plan);
  std::unique_ptr<const Model> model;
  {
    ComputeContext compute(options.device, flags.num_threads);
    compute.ctx().deterministic = options.deterministic;
    model = load_weights(compute.ctx(), source, config, dtype, flags, tokenizer);
  }
  const ModelInfo& info = model->info();
  loaded.summary = fmt::format("{}: {}, {}{}, {} of weights{} in {:.2f} s\n{}", source.name,
                               loaded.config.architecture, dtype_name(info.kv_layout.dtype),
                               storage(loaded.config, flags, options.device), format_bytes(info.weight_bytes),
                               where(options.device), watch.seconds(), plan.cache.to_string());
  if (info.kv_layout.quant_bits == 4)
    loaded.summary += fmt::format("; keys are centred by {}", info.key_centers.origin);
  loaded.engine = std::make_unique<Engine>(std::move(model), options);
  return loaded;
}

}  // namespace lmdeploy::cli
