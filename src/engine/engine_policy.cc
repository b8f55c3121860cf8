#include "engine/engine_policy.h"

#include <algorithm>
#include <limits>
#include <random>

#include "base/error.h"
#include "base/thread_pool.h"

namespace lmdeploy {
namespace {

// What a device is taken for until its steps have been measured. To guess too high costs some short steps;
// too low, a long pause of everything.
struct Rates {
  double read_bytes_per_ms;       // of memory
  double flops_per_ms;            // of linear layers
  double attention_flops_per_ms;  // of attention
  double layer_ms;                // of a layer whatever it computes: its kernels must be started
  double logit_ms;                // of a draw, for each token of the vocabulary
};

// Slow cores; memory is read by all of them together.
Rates cpu_rates(int num_threads) {
  return {20e6, 50e6 * num_threads, 20e6 * num_threads, 0, 1e-5};
}

// An older card: 300 GB/s and 30 TFLOP/s.
constexpr Rates kCardRates{300e6, 30e9, 3e9, 0.15, 1e-6};

StepCost guess_cost(const ModelInfo& info, const Rates& rates) {
  constexpr double kBytesPerElement = 2;
  constexpr double kHeadsPerKvHead = 4;  // unknown here; of grouped-query models mostly
  constexpr double kMinMs = 1e-3;        // of a model without weights to read
  const double weight_bytes = static_cast<double>(info.decode_read_bytes);
  const double token_kv_bytes =
      static_cast<double>(KvPool::block_bytes(info.kv_layout, info.num_layers)) / info.kv_layout.block_len;
  const double token_flops = 2 * weight_bytes / kBytesPerElement;
  const double token_kv_elements =
      2.0 * info.num_layers * info.kv_layout.num_kv_heads * info.kv_layout.head_dim;
  const double pair_flops = 2 * kHeadsPerKvHead * token_kv_elements;
  StepCost cost;
  cost.step_ms = weight_bytes / rates.read_bytes_per_ms + rates.layer_ms * info.num_layers + kMinMs;
  cost.token_ms = token_flops / rates.flops_per_ms + kMinMs;
  cost.draw_ms = rates.logit_ms * info.vocab_size + kMinMs;
  cost.pair_ms = pair_flops / rates.attention_flops_per_ms;
  cost.context_token_ms = token_kv_bytes / rates.read_bytes_per_ms;
  return cost;
}

Rates rates_of(const EngineOptions& options) {
  if (options.device != Device::cpu) return kCardRates;
  return cpu_rates(options.num_threads > 0 ? options.num_threads : ThreadPool::num_usable_cpus());
}

// What a card's step takes whatever the number of prompt tokens is worth while only for many: a linear layer
// of 4-bit weights unpacks all of them for more than some rows. So answers that run pause for longer than
// max_slowdown allows: about 70 ms with a model of 7B on an H100.
constexpr std::int32_t kUnpacedCardTokens = 2048;

HashKey random_hash_key() {
  std::random_device random;
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  const std::uint64_t first = word();
  return {first, word()};
}

}  // namespace

std::int32_t max_prompt_tokens(const EngineOptions& options) noexcept {
  return options.device == Device::cpu ? std::min(options.max_prefill_token_num, kMaxPromptTokens)
                                       : options.max_prefill_token_num;
}

int num_mask_threads(const EngineOptions& options) {
  constexpr int kMost = 8;
  const int num_cpus = ThreadPool::num_usable_cpus();
  return std::clamp(options.device == Device::cpu ? num_cpus / 8 : num_cpus / 2, 1, kMost);
}

int num_steps_ahead(const EngineOptions& options) noexcept {
  if (options.steps_ahead >= 0) return std::min(options.steps_ahead, 1);
  return options.device == Device::cpu || options.eager ? 0 : 1;
}

SchedulerOptions scheduler_options(const EngineOptions& options, const ModelInfo& info) {
  const std::int64_t block_bytes = KvPool::block_bytes(info.kv_layout, info.num_layers);
  const std::int64_t num_blocks = options.cache_bytes / block_bytes;
  if (num_blocks < 1)
    throw Error(fmt::format("a KV cache of {} bytes holds no block of {} tokens, which takes {} bytes",
                            options.cache_bytes, info.kv_layout.block_len, block_bytes),
                "give a larger --cache-max-entry-count");
  SchedulerOptions result;
  result.num_blocks = static_cast<std::int32_t>(
      std::min<std::int64_t>(num_blocks, std::numeric_limits<std::int32_t>::max() - 1));
  result.block_len = info.kv_layout.block_len;
  result.max_batch_size = options.max_batch_size;
  result.max_prompt_tokens = max_prompt_tokens(options);
  if (options.device != Device::cpu) result.unpaced_prompt_tokens = kUnpacedCardTokens;
  result.cost = guess_cost(info, rates_of(options));
  result.enable_prefix_caching = options.enable_prefix_caching;
  result.hash_key = random_hash_key();
  return result;
}

}  // namespace lmdeploy
