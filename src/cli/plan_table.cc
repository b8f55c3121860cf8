#include "cli/plan_table.h"

#include <fmt/format.h>

#include "base/format_bytes.h"

namespace lmdeploy::cli {
namespace {

std::string row(const char* name, std::int64_t bytes, const std::string& note = {}) {
  std::string line = fmt::format("  {:<10} {:>11}", name, format_bytes(bytes));
  if (!note.empty()) line += "  " + note;
  return line + "\n";
}

std::string cache_note(const MemoryPlan& plan) {
  const CacheNeeds& needs = plan.needs.cache;
  return fmt::format("{} tokens of {} bytes in {} blocks: {:.1f} sessions of {} tokens at once{}",
                     plan.cache.num_tokens, needs.block_bytes / needs.block_len, plan.cache.num_blocks,
                     plan.cache.num_sessions, needs.session_len,
                     plan.cache.capped ? " (all that --max-batch-size can use)" : "");
}

std::string weights_note(const MemoryEstimate& estimate) {
  if (estimate.device != Device::cpu) return {};
  const std::int64_t rounding = estimate.plan.needs.weight_bytes - estimate.info.weight_bytes;
  constexpr std::int64_t kWorthSaying = std::int64_t{1} << 20;
  return rounding < kWorthSaying
             ? std::string()
             : fmt::format("{} and {} that fill up huge pages", format_bytes(estimate.info.weight_bytes),
                           format_bytes(rounding));
}

}  // namespace

std::string plan_text(const MemoryEstimate& estimate, const std::string& model_name) {
  const MemoryPlan& plan = estimate.plan;
  const std::int64_t left = plan.left_bytes();
  const bool is_card = estimate.device != Device::cpu;
  std::string text = fmt::format("Memory plan of {}, {} to be had{}:\n", model_name,
                                 format_bytes(plan.memory_bytes), is_card ? " on the card" : "");
  text += row("weights", plan.needs.weight_bytes, weights_note(estimate));
  text += row("KV cache", plan.cache.bytes, cache_note(plan));
  text += row("workspace", plan.needs.workspace_bytes, "scratch and logits of the largest step");
  text += row("other", plan.needs.other_bytes,
              is_card ? "CUDA's context and kernels" : "program, threads, tokenizer");
  text += row("total", plan.total_bytes());
  text += left >= 0 ? row("left", left) : row("missing", -left);
  text.pop_back();
  return text;
}

nlohmann::ordered_json plan_json(const MemoryEstimate& estimate) {
  const MemoryPlan& plan = estimate.plan;
  const CacheNeeds& needs = plan.needs.cache;
  return {{"device", estimate.device == Device::cpu ? "cpu" : "cuda"},
          {"memory_bytes", plan.memory_bytes},
          {"weight_bytes", plan.needs.weight_bytes},
          {"kv_cache",
           {{"bytes", plan.cache.bytes},
            {"blocks", plan.cache.num_blocks},
            {"block_len", needs.block_len},
            {"tokens", plan.cache.num_tokens},
            {"token_bytes", needs.block_bytes / needs.block_len},
            {"session_len", needs.session_len},
            {"sessions", plan.cache.num_sessions},
            {"capped", plan.cache.capped}}},
          {"workspace_bytes", plan.needs.workspace_bytes},
          {"other_bytes", plan.needs.other_bytes},
          {"total_bytes", plan.total_bytes()},
          {"left_bytes", plan.left_bytes()},
          {"fits", plan.fits()}};
}

}  // namespace lmdeploy::cli
