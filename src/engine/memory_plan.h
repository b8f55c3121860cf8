#pragma once
#include <cstdint>

#include "engine/cache_plan.h"

namespace lmdeploy {

// What a server holds in memory beside its KV cache, and what that consists of.
struct MemoryNeeds {
  std::int64_t weight_bytes = 0;     // as they lie in memory
  std::int64_t workspace_bytes = 0;  // scratch and logits of the largest step (engine/step_memory.h)
  std::int64_t other_bytes = 0;      // the program, its threads, the tokenizer
  CacheNeeds cache;
};

// How the memory of a machine, or so much of it as a server may take, is divided. Decided before anything is
// loaded; the engine is then given these numbers.
struct MemoryPlan {
  std::int64_t memory_bytes = 0;
  MemoryNeeds needs;
  CachePlan cache;

  std::int64_t total_bytes() const noexcept {
    return needs.weight_bytes + cache.bytes + needs.workspace_bytes + needs.other_bytes;
  }
  std::int64_t left_bytes() const noexcept { return memory_bytes - total_bytes(); }  // below 0: missing
  // The cache holds one sequence, and all of it together fits.
  bool fits() const noexcept { return left_bytes() >= 0 && cache.num_blocks >= needs.cache.min_blocks(); }
};

// The KV cache takes its fraction of what the weights leave, as LMDeploy's does, but never what the workspace
// and the rest need: any fraction fits. A size in bytes is taken as it is.
MemoryPlan plan_memory(const CacheSize& size, const MemoryNeeds& needs, std::int64_t memory_bytes);

// Throws Error, with the numbers and what to change, where the plan does not fit.
void check_fits(const MemoryPlan& plan);

}  // namespace lmdeploy
