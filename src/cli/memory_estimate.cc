#include "cli/memory_estimate.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "cli/byte_size.h"
#include "cli/device_choice.h"
#include "cli/engine_loader.h"
#include "cli/process_memory.h"
#include "engine/step_memory.h"
#include "model/registry.h"
#include "ops/dispatch.h"
#include "tensor/counting_allocator.h"

namespace lmdeploy::cli {
namespace {

// Whoever says how much memory a card has plans for one that need not be here.
bool needs_no_card(const EngineFlags& flags) {
  return ops::kHasCuda && flags.device == "cuda" && !flags.memory.empty();
}

Device planned_device(const EngineFlags& flags) {
  return needs_no_card(flags) ? Device::cuda : find_device(flags.device);
}

CardBytes planned_card_bytes(const EngineFlags& flags) {
  return card_bytes(needs_no_card(flags) ? 0 : card_context_bytes());
}

// What is free, and what this process holds already.
std::int64_t own_memory_bytes(Device device) {
  return device == Device::cpu ? static_cast<std::int64_t>(available_memory_bytes() + resident_memory_bytes())
                               : free_card_bytes() + card_bytes(card_context_bytes()).context;
}

std::int64_t memory_bytes(const EngineFlags& flags, Device device) {
  const std::int64_t bytes =
      flags.memory.empty() ? own_memory_bytes(device) : parse_memory_size(flags.memory);
  return flags.memory_limit.empty() ? bytes : std::min(bytes, parse_memory_size(flags.memory_limit));
}

CacheNeeds cache_needs(const ModelInfo& info, const EngineFlags& flags) {
  return {.block_bytes = KvPool::block_bytes(info.kv_layout, info.num_layers),
          .block_len = info.kv_layout.block_len,
          .quant_bits = info.kv_layout.quant_bits,
          .session_len = flags.session_len > 0 ? flags.session_len : info.max_position_embeddings,
          .max_batch_size = flags.max_batch_size};
}

void check_shares(const ModelInfo& info, std::int32_t num_devices) {
  if (info.kv_layout.num_kv_heads % num_devices != 0)
    throw Error(
        fmt::format("{} kv heads cannot be shared by {} devices", info.kv_layout.num_kv_heads, num_devices),
        "Give --tp a divisor of the number of kv heads.");
}

// Pages of a card's memory: a large tensor fills whole ones there.
constexpr std::size_t kCardPageBytes = std::size_t{2} << 20;

// A model as its headers describe it: the real type, built by the real code, with weights that are address
// space and were never written.
struct ModelOutline {
  CountingAllocator allocator;
  std::unique_ptr<const Model> model;

  ModelOutline(Device device, const std::filesystem::path& folder, const HfConfig& config,
               const LoadOptions& options)
      : allocator(host_allocator(), device == Device::cpu ? 1 : kCardPageBytes) {
    ThreadPool pool(1, ThreadPool::Tasks::skip);
    Workspace workspace(host_allocator());
    Ctx ctx;
    ctx.device = device;
    ctx.pool = &pool;
    ctx.allocator = &allocator;
    ctx.workspace = &workspace;
    model = load_model(ctx, folder, config, options);
  }
};

}  // namespace

MemoryEstimate estimate_memory(const ModelSource& source, const HfConfig& config, const std::string& dtype,
                               const EngineFlags& flags, const Suppositions& supposed) {
  const Device device = planned_device(flags);
  LoadOptions options = load_options(device, dtype, flags);
  options.rounding = supposed.rounding;
  options.headers_only = source.headers_only;
  options.warns_about_unread = false;  // that is left to loading it
  const ModelOutline outline(device, source.folder, config, options);
  MemoryEstimate estimate;
  estimate.device = device;
  estimate.info = outline.model->info();
  check_shares(estimate.info, supposed.num_devices);
  MemoryNeeds needs;
  needs.cache = cache_needs(estimate.info, flags);
  needs.cache.block_bytes /= supposed.num_devices;
  needs.weight_bytes = outline.allocator.held_bytes() / supposed.num_devices;
  needs.workspace_bytes = max_workspace_bytes(*outline.model, engine_options(device, flags, {}));
  needs.other_bytes = supposed.other_bytes.value_or(
      device == Device::cpu ? process_bytes(source.folder, flags) : planned_card_bytes(flags).total());
  estimate.plan =
      plan_memory(parse_cache_size(flags.cache_max_entry_count), needs, memory_bytes(flags, device));
  return estimate;
}

}  // namespace lmdeploy::cli
