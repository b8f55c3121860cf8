#include "server/answer_task.h"

#include "server/api_error.h"

namespace lmdeploy {
namespace {

ApiError error_of(const Rejected& rejected, AnswerKind kind) {
  const char* param = kind == AnswerKind::chat ? "messages" : "prompt";
  switch (rejected.reason) {
    case Rejected::Reason::too_long:
      return {400, rejected.message, {.param = param, .code = "context_length_exceeded"}};
    case Rejected::Reason::queue_full:
      return {429, rejected.message};
    case Rejected::Reason::shutting_down:
    case Rejected::Reason::unhealthy:
      return {503, rejected.message};
    case Rejected::Reason::invalid:
      break;
  }
  return {400, rejected.message, {.param = param}};
}

// The client's own abort has no reader; what is left is the server's end.
ApiError error_of(const TextDelta& delta) {
  if (delta.finish_reason == FinishReason::abort) return {503, "the server is shutting down"};
  return {500, delta.error};
}

}  // namespace

AnswerTask::AnswerTask(const ServedModel& model, std::shared_ptr<Exchange> exchange, AnswerHead head,
                       bool stream)
    : model_(model), exchange_(std::move(exchange)), head_(std::move(head)), stream_(stream) {}

void AnswerTask::start(const std::vector<std::vector<TokenId>>& prompts, const AnswerOptions& options,
                       std::unique_ptr<Admission::Ticket> ticket) {
  ticket_ = std::move(ticket);
  num_unfinished_ = static_cast<std::int32_t>(prompts.size()) * options.num_choices;
  fold_ = AnswerFold(num_unfinished_);
  for (const auto& prompt_ids : prompts) {
    usage_.num_prompt_tokens += std::ssize(prompt_ids);
    for (std::int32_t i = 0; i < options.num_choices; ++i) {
      GenerationParams params = options.generation;
      params.sampling.seed += static_cast<std::uint64_t>(i);
      start_choice(prompt_ids, params);
    }
  }
  exchange_->on_gone([self = shared_from_this()] { self->abort_all(); });
  if (!stream_) return;
  HttpResponse head;
  head.set("Content-Type", "text/event-stream; charset=utf-8");
  head.set("Cache-Control", "no-cache");
  head.set("X-Accel-Buffering", "no");  // a proxy that collects the events would undo the stream
  exchange_->start_stream(std::move(head));
  if (head_.kind == AnswerKind::chat)
    for (std::int32_t i = 0; i < num_unfinished_; ++i) exchange_->send(sse_event(role_chunk(head_, i)));
}

void AnswerTask::start_choice(std::vector<TokenId> prompt_ids, const GenerationParams& params) {
  auto started = Generation::start(
      model_, std::move(prompt_ids), params,
      [exchange = exchange_](std::function<void()> task) { exchange->post(std::move(task)); },
      [self = shared_from_this(), idx = static_cast<std::int32_t>(generations_.size())](
          const TextDelta& delta) { self->on_delta(idx, delta); });
  if (const auto* rejected = std::get_if<Rejected>(&started)) {
    abort_all();
    throw error_of(*rejected, head_.kind);
  }
  generations_.push_back(std::move(std::get<std::shared_ptr<Generation>>(started)));
}

void AnswerTask::on_delta(std::int32_t choice_idx, const TextDelta& delta) {
  const FinishReason reason = delta.finish_reason;
  if (reason == FinishReason::abort || reason == FinishReason::error) {
    fail(error_of(delta));
    return;
  }
  if (!delta.text.empty()) deliver({.choice_idx = choice_idx, .text = delta.text});
  if (reason == FinishReason::none) return;
  deliver({.choice_idx = choice_idx, .finish_reason = reason});
  usage_.num_completion_tokens += delta.num_generated_tokens;
  if (--num_unfinished_ == 0) complete();
}

void AnswerTask::deliver(const AnswerChunk& chunk) {
  if (stream_)
    exchange_->send(sse_event(text_chunk(head_, chunk)));
  else
    fold_.add(chunk);
}

void AnswerTask::fail(const ApiError& error) {
  abort_all();
  if (stream_) {
    exchange_->send(sse_error(error));
    exchange_->finish();
  } else {
    exchange_->reply(error.response());
  }
}

void AnswerTask::complete() {
  ticket_ = nullptr;
  generations_.clear();
  if (stream_) {
    if (head_.include_usage) exchange_->send(sse_event(usage_chunk(head_, usage_)));
    exchange_->send(kSseDone);
    exchange_->finish();
  } else {
    exchange_->reply(json_response(200, fold_.json(head_, usage_)));
  }
}

void AnswerTask::abort_all() {
  ticket_ = nullptr;
  for (const auto& generation : std::exchange(generations_, {})) generation->abort();
}

}  // namespace lmdeploy
