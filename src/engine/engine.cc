#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <random>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/engine_loop.h"
#include "engine/request_check.h"

namespace lmdeploy {
namespace {

// What steps take until they have been measured: as on slow cores. To guess too high costs some short steps;
// too low, a long pause of everything.
StepCost guess_cost(const ModelInfo& info, int num_threads) {
  constexpr double kReadBytesPerMs = 20e6;  // of memory, by all threads
  constexpr double kFlopsPerMs = 50e6;      // of one thread
  constexpr double kAttentionFlopsPerMs = 20e6;
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
  cost.step_ms = weight_bytes / kReadBytesPerMs + kMinMs;
  cost.token_ms = token_flops / kFlopsPerMs / num_threads + kMinMs;
  cost.draw_ms = static_cast<double>(info.vocab_size) * 1e-5 + kMinMs;  // 10 ns for each logit
  cost.pair_ms = pair_flops / kAttentionFlopsPerMs / num_threads;
  cost.context_token_ms = token_kv_bytes / kReadBytesPerMs;
  return cost;
}

HashKey random_hash_key() {
  std::random_device random;
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  const std::uint64_t first = word();
  return {first, word()};
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
  result.max_prompt_tokens = std::min(options.max_prefill_token_num, kMaxPromptTokens);
  const int num_threads = options.num_threads > 0 ? options.num_threads : ThreadPool::num_usable_cpus();
  result.cost = guess_cost(info, num_threads);
  result.enable_prefix_caching = options.enable_prefix_caching;
  result.hash_key = random_hash_key();
  return result;
}

std::int32_t usable_session_len(const EngineOptions& options, const ModelInfo& info,
                                const SchedulerOptions& policy) {
  const std::int32_t wanted = options.session_len > 0 ? options.session_len : info.max_position_embeddings;
  return static_cast<std::int32_t>(
      std::min(std::int64_t{wanted}, std::int64_t{policy.num_blocks} * policy.block_len));
}

}  // namespace

struct Engine::Impl {
  Impl(std::unique_ptr<const Model> model_in, const EngineOptions& options)
      : model(std::move(model_in)),
        policy(scheduler_options(options, model->info())),
        session_len(usable_session_len(options, model->info(), policy)),
        mailbox(options),
        loop(*model, options, policy, mailbox),
        thread([this] { loop.run(); }) {}

  const std::unique_ptr<const Model> model;
  const SchedulerOptions policy;
  const std::int32_t session_len;
  std::atomic<RequestId> next_id{1};
  Mailbox mailbox;
  EngineLoop loop;
  std::thread thread;
};

Engine::Engine(std::unique_ptr<const Model> model, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), options)) {}

Engine::~Engine() {
  impl_->mailbox.close();
  impl_->thread.join();
}

SubmitResult Engine::submit(Request request, Sink sink) {
  CHECK(sink != nullptr, "a request without a receiver");
  const std::int32_t vocab_size = impl_->model->info().vocab_size;
  if (auto rejected = check_request(request, impl_->session_len, vocab_size)) return std::move(*rejected);
  if (!healthy())
    return Rejected{Rejected::Reason::unhealthy, "the model fails to compute; the program's log says why"};
  const RequestId id = impl_->next_id.fetch_add(1, std::memory_order_relaxed);
  auto active = std::make_unique<ActiveRequest>(id, std::move(request), impl_->session_len, vocab_size,
                                                std::move(sink));
  if (auto rejected = impl_->mailbox.post(std::move(active))) return std::move(*rejected);
  return id;
}

void Engine::abort(RequestId id) {
  impl_->mailbox.post_abort(id);
}

EngineStats Engine::stats() const {
  return impl_->mailbox.stats();
}

bool Engine::healthy() const noexcept {
  return impl_->loop.healthy();
}

std::int32_t Engine::session_len() const noexcept {
  return impl_->session_len;
}

const Model& Engine::model() const noexcept {
  return *impl_->model;
}

}  // namespace lmdeploy
