#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>
#include <utility>

#include "base/error.h"
#include "engine/engine_loop.h"
#include "engine/request_check.h"

namespace lmdeploy {
namespace {

// Of a step on the CPU: with more rows than this a linear layer gets no faster per row, only the step longer.
// While answers run a short pause between their tokens is worth more than the last few percent.
constexpr std::int32_t kPrefillChunkLen = 512;
constexpr std::int32_t kMixedChunkLen = 128;

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
  result.prefill_chunk_len = std::min(options.max_prefill_token_num, kPrefillChunkLen);
  result.mixed_chunk_len = std::min(options.max_prefill_token_num, kMixedChunkLen);
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
