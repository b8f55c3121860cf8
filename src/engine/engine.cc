#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "base/error.h"
#include "engine/engine_loop.h"
#include "engine/engine_policy.h"
#include "engine/request_check.h"

namespace lmdeploy {
namespace {

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

bool Engine::lost_device() const noexcept {
  return impl_->loop.lost_device();
}

std::int32_t Engine::session_len() const noexcept {
  return impl_->session_len;
}

std::int32_t Engine::hidden_size() const noexcept {
  return impl_->model->info().hidden_size;
}

const Model& Engine::model() const noexcept {
  return *impl_->model;
}

}  // namespace lmdeploy
