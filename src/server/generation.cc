#include "server/generation.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "text/stream_decoder.h"

namespace lmdeploy {
namespace {

Request engine_request(const ServedModel& model, std::vector<TokenId> prompt_ids,
                       const GenerationParams& params) {
  Request request;
  request.prompt_ids = std::move(prompt_ids);
  request.sampling = params.sampling;
  request.max_new_tokens = params.max_new_tokens;
  request.min_new_tokens = params.min_new_tokens;
  request.stop_token_ids = params.stop_token_ids;
  if (!params.ignore_eos)
    request.stop_token_ids.insert(request.stop_token_ids.end(), model.eos_ids.begin(), model.eos_ids.end());
  return request;
}

StreamDecoderOptions decoder_options(const GenerationParams& params) {
  return {.decode = {params.skip_special_tokens, params.spaces_between_special_tokens},
          .stop = params.stop,
          .include_stop_str_in_output = params.include_stop_str_in_output};
}

}  // namespace

struct Generation::State {
  Engine& engine;
  StreamDecoder decoder;
  Callback callback;  // empty once the answer has ended
  RequestId request_id = 0;
  std::int32_t num_prompt_tokens;
  std::int32_t num_generated_tokens = 0;
};

Generation::Generation(Token, const ServedModel& model, std::int32_t num_prompt_tokens,
                       const GenerationParams& params, Callback callback)
    : state_(new State{model.engine, StreamDecoder(model.tokenizer, decoder_options(params)),
                       std::move(callback), 0, num_prompt_tokens}) {}

Generation::~Generation() = default;

std::variant<std::shared_ptr<Generation>, Rejected> Generation::start(const ServedModel& model,
                                                                      std::vector<TokenId> prompt_ids,
                                                                      const GenerationParams& params,
                                                                      Post post, Callback callback) {
  auto generation = std::make_shared<Generation>(Token{}, model, static_cast<std::int32_t>(prompt_ids.size()),
                                                 params, std::move(callback));
  auto submitted = model.engine.submit(engine_request(model, std::move(prompt_ids), params),
                                       [generation, post = std::move(post)](const Output& output) {
                                         post([generation, output] { generation->on_output(output); });
                                       });
  if (auto* rejected = std::get_if<Rejected>(&submitted)) return std::move(*rejected);
  generation->state_->request_id = std::get<RequestId>(submitted);
  return generation;
}

void Generation::abort() {
  if (!state_->callback) return;
  state_->callback = nullptr;
  state_->engine.abort(state_->request_id);
}

void Generation::on_output(const Output& output) {
  if (!state_->callback) return;
  TextDelta delta{.text = {},
                  .finish_reason = output.finish_reason,
                  .error = output.error,
                  .num_prompt_tokens = state_->num_prompt_tokens,
                  .num_generated_tokens = state_->num_generated_tokens += output.token >= 0};
  // The token that stops an answer is not part of its text.
  if (output.token >= 0 && output.finish_reason != FinishReason::stop)
    delta.text = state_->decoder.feed(output.token);
  if (output.finish_reason != FinishReason::none) delta.text += state_->decoder.finish();
  if (state_->decoder.stopped()) {
    if (delta.finish_reason == FinishReason::none) state_->engine.abort(state_->request_id);
    delta.finish_reason = FinishReason::stop;
  }
  // The callback may abort(), and its last run lets go of what it holds.
  const Callback callback = state_->callback;
  if (delta.finish_reason != FinishReason::none) state_->callback = nullptr;
  callback(delta);
}

namespace {

// Hands tasks from the engine's thread to the one that waits.
class TaskQueue {
 public:
  void push(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    ready_.notify_one();
  }
  std::function<void()> pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return !tasks_.empty(); });
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;
};

}  // namespace

std::variant<TextDelta, Rejected> generate(const ServedModel& model, std::vector<TokenId> prompt_ids,
                                           const GenerationParams& params,
                                           const std::function<bool(const TextDelta&)>& on_delta) {
  const auto queue = std::make_shared<TaskQueue>();
  TextDelta last;
  bool wanted = true;
  auto started = Generation::start(
      model, std::move(prompt_ids), params,
      [queue](std::function<void()> task) { queue->push(std::move(task)); },
      [&](const TextDelta& delta) {
        last = delta;
        wanted = on_delta(delta);
      });
  if (auto* rejected = std::get_if<Rejected>(&started)) return std::move(*rejected);
  while (last.finish_reason == FinishReason::none) {
    queue->pop()();
    if (wanted || last.finish_reason != FinishReason::none) continue;
    std::get<std::shared_ptr<Generation>>(started)->abort();
    last.finish_reason = FinishReason::abort;
  }
  return last;
}

}  // namespace lmdeploy
