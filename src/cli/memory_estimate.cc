#include "cli/memory_estimate.h"

#include <memory>

#include "base/error.h"
#include "base/system_memory.h"
#include "base/thread_pool.h"
#include "cli/byte_size.h"
#include "cli/engine_loader.h"
#include "cli/process_memory.h"
#include "engine/step_memory.h"
#include "model/registry.h"
#include "tensor/counting_allocator.h"

namespace lmdeploy::cli {
namespace {

std::int64_t memory_bytes(const EngineFlags& flags) {
  if (!flags.memory.empty()) return parse_memory_size(flags.memory);
  return static_cast<std::int64_t>(available_memory_bytes() + resident_memory_bytes());
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

// A model as its headers describe it: the real type, built by the real code, with weights that are address
// space and were never written.
struct ModelOutline {
  CountingAllocator allocator{host_allocator()};
  std::unique_ptr<const Model> model;

  ModelOutline(const std::filesystem::path& folder, const HfConfig& config, const LoadOptions& options) {
    ThreadPool pool(1, ThreadPool::Tasks::skip);
    Workspace workspace(host_allocator());
    Ctx ctx;
    ctx.pool = &pool;
    ctx.allocator = &allocator;
    ctx.workspace = &workspace;
    model = load_model(ctx, folder, config, options);
  }
};

}  // namespace

MemoryEstimate estimate_memory(const ModelSource& source, const HfConfig& config, const std::string& dtype,
                               const EngineFlags& flags, const Suppositions& supposed) {
  LoadOptions options = load_options(dtype, flags);
  options.rounding = supposed.rounding;
  options.headers_only = source.headers_only;
  options.warns_about_unread = false;  // that is left to loading it
  const ModelOutline outline(source.folder, config, options);
  MemoryEstimate estimate;
  estimate.info = outline.model->info();
  check_shares(estimate.info, supposed.num_devices);
  MemoryNeeds needs;
  needs.cache = cache_needs(estimate.info, flags);
  needs.cache.block_bytes /= supposed.num_devices;
  needs.weight_bytes = outline.allocator.held_bytes() / supposed.num_devices;
  needs.workspace_bytes = max_workspace_bytes(*outline.model, engine_options(flags, {}));
  needs.other_bytes = supposed.other_bytes.value_or(process_bytes(source.folder, flags));
  estimate.plan = plan_memory(parse_cache_size(flags.cache_max_entry_count), needs, memory_bytes(flags));
  return estimate;
}

}  // namespace lmdeploy::cli
