#include "server/embedding_task.h"

#include "server/answer_errors.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kMaxRunning = 32;  // inputs of one request

}  // namespace

EmbeddingTask::EmbeddingTask(const ServedModel& model, std::shared_ptr<Exchange> exchange,
                             EmbeddingsRequest request, GenerationParams params,
                             std::vector<std::vector<TokenId>> inputs)
    : model_(model),
      exchange_(std::move(exchange)),
      request_(std::move(request)),
      params_(std::move(params)),
      inputs_(std::move(inputs)),
      embeddings_(inputs_.size()) {
  for (const auto& ids : inputs_) num_prompt_tokens_ += std::ssize(ids);
}

void EmbeddingTask::start(AnswerPermit permit) {
  ticket_ = std::move(permit.ticket);
  running_ = permit.running.add(permit.name, [weak = weak_from_this(), exchange = exchange_] {
    exchange->post([weak] {
      const auto self = weak.lock();
      if (self && !self->is_over()) self->fail(ApiError(409, "the request was ended by /abort_request"));
    });
  });
  received_ms_ = exchange_->request().seconds_since_received() * 1e3;
  submit_more();
  exchange_->on_gone([self = shared_from_this()] { self->abort_all(); });
}

void EmbeddingTask::submit_more() {
  while (next_ < inputs_.size() && generations_.size() < kMaxRunning) submit_next();
}

void EmbeddingTask::submit_next() {
  const std::size_t idx = next_++;
  auto started = Generation::start(
      model_, std::move(inputs_[idx]), params_,
      [exchange = exchange_](std::function<void()> task) { exchange->post(std::move(task)); },
      [self = shared_from_this(), idx](const TextDelta& delta) { self->on_delta(idx, delta); });
  if (const auto* rejected = std::get_if<Rejected>(&started)) {
    abort_all();
    throw error_of(*rejected, "input");
  }
  generations_.emplace(idx, std::move(std::get<std::shared_ptr<Generation>>(started)));
}

void EmbeddingTask::on_delta(std::size_t idx, const TextDelta& delta) {
  if (is_over() || delta.finish_reason == FinishReason::none) return;
  last_timings_ = delta.timings;
  generations_.erase(idx);
  if (is_failure(delta.finish_reason)) return fail(error_of(delta));
  embeddings_[idx] = unit_embedding(*delta.embedding, request_.num_dimensions);
  try {
    submit_more();
  } catch (const ApiError& e) {
    return fail(e);
  }
  if (generations_.empty()) complete();
}

void EmbeddingTask::fail(const ApiError& error) {
  abort_all();
  exchange_->reply(error.response_to(exchange_->request()));
}

void EmbeddingTask::complete() {
  ticket_ = nullptr;
  running_ = nullptr;
  exchange_->set_report(report());
  exchange_->reply(json_response(200, embeddings_json(request_, embeddings_, num_prompt_tokens_)));
}

void EmbeddingTask::abort_all() {
  ticket_ = nullptr;
  running_ = nullptr;
  for (const auto& [idx, generation] : std::exchange(generations_, {})) generation->abort();
  exchange_->set_report(report());
}

AnswerReport EmbeddingTask::report() const {
  return {.num_prompt_tokens = num_prompt_tokens_,
          .num_completion_tokens = 0,
          .received_ms = received_ms_,
          .engine = last_timings_};
}

}  // namespace lmdeploy
