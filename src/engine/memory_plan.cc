#include "engine/memory_plan.h"

#include "base/error.h"
#include "base/format_bytes.h"

namespace lmdeploy {

MemoryPlan plan_memory(const CacheSize& size, const MemoryNeeds& needs, std::int64_t memory_bytes) {
  MemoryPlan plan;
  plan.memory_bytes = memory_bytes;
  plan.needs = needs;
  const std::int64_t free_bytes = memory_bytes - needs.weight_bytes;
  plan.cache =
      plan_cache(size, needs.cache, {free_bytes, free_bytes - needs.workspace_bytes - needs.other_bytes});
  return plan;
}

void check_fits(const MemoryPlan& plan) {
  if (plan.fits()) return;
  const MemoryNeeds& needs = plan.needs;
  const std::int64_t min_cache_bytes = needs.cache.min_blocks() * needs.cache.block_bytes;
  const std::string parts =
      fmt::format("{} of weights, {} of workspace and {} for the program", format_bytes(needs.weight_bytes),
                  format_bytes(needs.workspace_bytes), format_bytes(needs.other_bytes));
  const std::int64_t without_cache = plan.total_bytes() - plan.cache.bytes;
  if (without_cache + min_cache_bytes > plan.memory_bytes)
    throw Error(fmt::format("the model does not fit: {} and {} for one sequence of {} tokens are more than "
                            "the {} of memory",
                            parts, format_bytes(min_cache_bytes), needs.cache.min_sequence_len(),
                            format_bytes(plan.memory_bytes)),
                "free memory, lower --max-batch-size, or use a smaller or quantised model; `lmdeploy plan "
                "MODEL` shows what would fit");
  if (plan.left_bytes() < 0)
    throw Error(fmt::format("a KV cache of {} was asked for, but of {} of memory {} leave only {}",
                            format_bytes(plan.cache.bytes), format_bytes(plan.memory_bytes), parts,
                            format_bytes(plan.memory_bytes - without_cache)),
                "give a smaller --cache-max-entry-count, --session-len or --max-batch-size");
  throw Error(
      fmt::format("the KV cache comes to {} ({} blocks of {} tokens), but one sequence of {} tokens needs {}",
                  format_bytes(plan.cache.bytes), plan.cache.num_blocks, needs.cache.block_len,
                  needs.cache.min_sequence_len(), format_bytes(min_cache_bytes)),
      fmt::format("give a larger --cache-max-entry-count: {} of memory are free beside {}",
                  format_bytes(plan.memory_bytes - without_cache), parts));
}

}  // namespace lmdeploy
