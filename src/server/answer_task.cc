#include "server/answer_task.h"

#include <fmt/format.h>

#include "server/answer_errors.h"
#include "server/answer_tokens.h"
#include "server/request_id.h"
#include "text/characters.h"

namespace lmdeploy {
namespace {

// Mistral's templates want ids of nine letters and digits.
constexpr int kCallIdDigits = 24;
constexpr int kShortCallIdDigits = 9;

}  // namespace

AnswerTask::AnswerTask(const ServedModel& model, std::shared_ptr<Exchange> exchange,
                       std::unique_ptr<AnswerFormat> format, const AnswerOptions& options)
    : model_(model), exchange_(std::move(exchange)), format_(std::move(format)), options_(options) {}

void AnswerTask::start(const std::vector<std::vector<TokenId>>& prompts, AnswerPermit permit) {
  ticket_ = std::move(permit.ticket);
  running_ = permit.running.add(permit.name, [weak = weak_from_this(), exchange = exchange_] {
    exchange->post([weak] {
      if (const auto self = weak.lock()) self->end_early();
    });
  });
  if (running_ == nullptr)
    throw ApiError(409,
                   fmt::format("session_id {} is occupied by a request that is still answered",
                               permit.name.session_id.value_or(-1)),
                   {.param = "session_id"});
  const auto num_prompts = static_cast<std::int32_t>(prompts.size());
  const std::int32_t num_candidates = options_.num_candidates;
  num_unfinished_ = num_prompts * num_candidates;
  if (options_.parsing && options_.parsing->reasoning) usage_.num_reasoning_tokens = 0;
  if (num_candidates > options_.num_choices) best_.emplace(num_prompts, num_candidates, options_.num_choices);
  received_ms_ = exchange_->request().seconds_since_received() * 1e3;
  for (const auto& prompt_ids : prompts) {
    usage_.num_prompt_tokens += std::ssize(prompt_ids);
    first_tokens_.push_back(prompt_ids.empty() ? -1 : prompt_ids.front());
    for (std::int32_t i = 0; i < num_candidates; ++i) {
      GenerationParams params = options_.generation;
      params.sampling.seed += static_cast<std::uint64_t>(i);
      start_choice(prompt_ids, params);
    }
  }
  exchange_->on_gone([self = shared_from_this()] { self->abort_all(); });
  if (options_.stream) start_stream();
}

void AnswerTask::start_stream() {
  HttpResponse head;
  head.set("Content-Type", std::string(format_->stream_type()));
  head.set("Cache-Control", "no-cache");
  head.set("X-Accel-Buffering", "no");  // a proxy that collects the events would undo the stream
  exchange_->start_stream(std::move(head));
  for (std::int32_t i = 0; i < num_unfinished_; ++i) exchange_->send(format_->opening(i));
}

void AnswerTask::start_choice(std::vector<TokenId> prompt_ids, const GenerationParams& params) {
  auto started = Generation::start(
      model_, std::move(prompt_ids), params,
      [exchange = exchange_](std::function<void()> task) { exchange->post(std::move(task)); },
      [self = shared_from_this(), idx = static_cast<std::int32_t>(choices_.size())](const TextDelta& delta) {
        self->on_delta(idx, delta);
      });
  if (const auto* rejected = std::get_if<Rejected>(&started)) {
    abort_all();
    throw error_of(*rejected, std::string(format_->prompt_field()));
  }
  Choice& choice = choices_.emplace_back();
  choice.generation = std::move(std::get<std::shared_ptr<Generation>>(started));
  if (options_.parsing) choice.parser.emplace(*options_.parsing);
}

void AnswerTask::on_delta(std::int32_t choice_idx, const TextDelta& delta) {
  Choice& choice = choices_[static_cast<std::size_t>(choice_idx)];
  FinishReason reason = delta.finish_reason;
  last_timings_ = delta.timings;
  choice.num_generated_tokens = delta.num_generated_tokens;
  if (is_failure(reason)) {
    fail(error_of(delta));
    return;
  }
  if (best_ && delta.token >= 0) best_->add_logprob(choice_idx, delta.logprob);
  const AnswerChunk chunk = chunk_of(choice_idx, delta);
  if (chunk.says_something() || chunk.token >= 0 || !chunk.tokens.empty()) deliver(chunk);
  if (reason == FinishReason::none && running_ != nullptr && choice.parser && choice.parser->is_satisfied()) {
    choice.generation->abort();
    reason = FinishReason::stop;
  }
  if (reason == FinishReason::none || running_ == nullptr) return;  // the reader may have been cut off
  if (choice_idx % options_.num_candidates == 0) usage_.num_cached_tokens += delta.timings.num_cached_tokens;
  finish_choice(choice_idx, reason, delta.stop_string);
  if (num_unfinished_ == 0 && running_ != nullptr) complete();
}

void AnswerTask::finish_choice(std::int32_t choice_idx, FinishReason reason, std::string stop_string) {
  Choice& choice = choices_[static_cast<std::size_t>(choice_idx)];
  choice.finished = true;
  --num_unfinished_;
  usage_.num_completion_tokens += choice.num_generated_tokens;
  if (usage_.num_reasoning_tokens) *usage_.num_reasoning_tokens += choice.num_reasoning_tokens;
  AnswerChunk end{.choice_idx = choice_idx,
                  .finish_reason = reason,
                  .stop_string = std::move(stop_string),
                  .num_generated_tokens = choice.num_generated_tokens};
  end.ends_with_calls = reason == FinishReason::stop && choice.parser && choice.parser->has_whole_calls();
  deliver(end);
}

AnswerChunk AnswerTask::chunk_of(std::int32_t choice_idx, const TextDelta& delta) {
  AnswerChunk chunk{.choice_idx = choice_idx,
                    .text = delta.text,
                    .token = delta.token,
                    .num_generated_tokens = delta.num_generated_tokens};
  Choice& choice = choices_[static_cast<std::size_t>(choice_idx)];
  if (choice.parser) parse(choice, delta, chunk);
  if (!std::exchange(choice.begun, true) && !options_.echo_texts.empty()) add_echo(choice_idx, delta, chunk);
  if (!options_.logprobs || delta.token < 0) return chunk;
  chunk.tokens.push_back(answer_token(model_.tokenizer, delta.token, delta.logprob, delta.top_logprobs));
  chunk.tokens.back().text_offset = choice.num_echoed_chars + delta.text_offset;
  return chunk;
}

void AnswerTask::parse(Choice& choice, const TextDelta& delta, AnswerChunk& chunk) {
  chunk.text.clear();
  const bool was_in_reasoning = choice.parser->in_reasoning();
  add_pieces(choice.parser->feed(delta.text), chunk);
  if (delta.token >= 0 && (was_in_reasoning || choice.parser->in_reasoning())) ++choice.num_reasoning_tokens;
  if (delta.finish_reason != FinishReason::none) add_pieces(choice.parser->finish(), chunk);
}

void AnswerTask::add_pieces(AnswerPieces pieces, AnswerChunk& chunk) const {
  chunk.reasoning += pieces.reasoning;
  chunk.text += pieces.content;
  for (ToolCallDelta& delta : pieces.calls) {
    AnswerCall call{.id = {}, .delta = std::move(delta)};
    if (!call.delta.name.empty())
      call.id = options_.parsing->calls->format->shape == ToolFormat::Shape::list
                    ? random_id(kShortCallIdDigits)
                    : "call_" + random_id(kCallIdDigits);
    chunk.calls.push_back(std::move(call));
  }
}

// The prompt comes with the first token, since its log probabilities do.
void AnswerTask::add_echo(std::int32_t choice_idx, const TextDelta& delta, AnswerChunk& chunk) {
  const auto prompt_idx = static_cast<std::size_t>(choice_idx / options_.num_candidates);
  const std::string& text = options_.echo_texts[prompt_idx];
  chunk.text.insert(0, text);
  choices_[static_cast<std::size_t>(choice_idx)].num_echoed_chars = count_chars(text);
  if (delta.prompt_scores != nullptr)
    chunk.tokens = echoed_tokens(model_.tokenizer, text, first_tokens_[prompt_idx], *delta.prompt_scores);
}

void AnswerTask::deliver(const AnswerChunk& chunk) {
  if (best_)
    best_->add(chunk);
  else if (options_.stream)
    exchange_->send(format_->chunk(chunk));
  else
    format_->fold(chunk);
}

// What there is so far becomes the answer.
void AnswerTask::end_early() {
  if (running_ == nullptr) return;  // it has ended by itself
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    if (choices_[i].finished) continue;
    choices_[i].generation->abort();
    if (choices_[i].parser) {
      AnswerChunk held{.choice_idx = static_cast<std::int32_t>(i)};
      add_pieces(choices_[i].parser->finish(), held);
      deliver(held);
    }
    finish_choice(static_cast<std::int32_t>(i), FinishReason::abort);
  }
  if (running_ != nullptr) complete();
}

void AnswerTask::fail(const ApiError& error) {
  abort_all();
  if (options_.stream) {
    exchange_->send(format_->failure(error));
    exchange_->finish();
  } else {
    exchange_->reply(error.response_to(exchange_->request()));
  }
}

AnswerReport AnswerTask::report() const {
  return {.num_prompt_tokens = usage_.num_prompt_tokens,
          .num_completion_tokens = usage_.num_completion_tokens,
          .received_ms = received_ms_,
          .engine = last_timings_};
}

void AnswerTask::complete() {
  ticket_ = nullptr;
  running_ = nullptr;
  choices_.clear();
  if (best_)
    for (const AnswerChunk& chunk : best_->take()) format_->fold(chunk);
  exchange_->set_report(report());
  const double total_ms = exchange_->request().seconds_since_received() * 1e3;
  if (options_.include_timings) usage_.timings = timings_json(report(), total_ms);
  if (options_.stream) {
    exchange_->send(format_->closing(usage_));
    exchange_->finish();
    return;
  }
  HttpResponse response = json_response(200, format_->whole(usage_));
  if (options_.include_timings) response.set("x-lmdeploy-timings", timings_text(report(), total_ms));
  exchange_->reply(std::move(response));
}

void AnswerTask::abort_all() {
  ticket_ = nullptr;
  running_ = nullptr;
  for (const Choice& choice : std::exchange(choices_, {})) {
    if (!choice.finished) usage_.num_completion_tokens += choice.num_generated_tokens;
    choice.generation->abort();
  }
  exchange_->set_report(report());
}

}  // namespace lmdeploy
