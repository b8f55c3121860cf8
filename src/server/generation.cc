#include "server/generation.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "server/request_meter.h"
#include "text/stream_decoder.h"

namespace lmdeploy {
namespace {

// A word as it may stand in an answer: at its beginning or behind another, with a space between.
std::vector<std::vector<TokenId>> spellings(const Tokenizer& tokenizer,
                                            const std::vector<std::string>& words) {
  std::vector<std::vector<TokenId>> sequences;
  for (const std::string& word : words)
    for (const std::string& text : {word, " " + word}) {
      auto ids = tokenizer.encode(text, false);
      if (!ids.empty() && std::ranges::find(sequences, ids) == sequences.end())
        sequences.push_back(std::move(ids));
    }
  return sequences;
}

Request engine_request(const ServedModel& model, std::vector<TokenId> prompt_ids,
                       const GenerationParams& params) {
  Request request;
  request.prompt_ids = std::move(prompt_ids);
  request.sampling = params.sampling;
  request.max_new_tokens = params.max_new_tokens;
  request.min_new_tokens = params.min_new_tokens;
  request.stop_token_ids = params.stop_token_ids;
  request.logit_bias = params.logit_bias;
  request.bad_words = spellings(model.tokenizer, params.bad_words);
  request.logprobs = params.logprobs;
  request.prompt_logprobs = params.prompt_logprobs;
  request.num_top_logprobs = params.num_top_logprobs;
  request.prompt_only = params.prompt_only;
  request.pooling = params.pooling;
  if (params.grammar) request.mask = params.grammar->begin();
  request.cache_salt = params.cache_salt;
  request.deadline = params.deadline;
  if (!params.ignore_eos)
    request.stop_token_ids.insert(request.stop_token_ids.end(), model.eos_ids.begin(), model.eos_ids.end());
  return request;
}

StreamDecoderOptions decoder_options(const GenerationParams& params, std::span<const TokenId> prompt_ids) {
  constexpr std::size_t kContextLen = 8;
  // A grammar knows the text that its tokens have anywhere, not at a beginning.
  const bool is_exact = params.continues_prompt || params.grammar != nullptr;
  const auto context = prompt_ids.last(is_exact ? std::min(kContextLen, prompt_ids.size()) : std::size_t{0});
  return {.decode = {params.skip_special_tokens, params.spaces_between_special_tokens},
          .stop = params.stop,
          .include_stop_str_in_output = params.include_stop_str_in_output,
          .shown_tokens = params.shown_tokens,
          .context = {context.begin(), context.end()}};
}

}  // namespace

struct Generation::State {
  Engine& engine;
  StreamDecoder decoder;
  Callback callback;  // empty once the answer has ended
  RequestMeter meter;
  RequestId request_id = 0;
  std::int32_t num_prompt_tokens;
  std::int32_t num_generated_tokens = 0;
};

Generation::Generation(Token, const ServedModel& model, std::span<const TokenId> prompt_ids,
                       const GenerationParams& params, Callback callback)
    : state_(new State{
          model.engine, StreamDecoder(model.tokenizer, decoder_options(params, prompt_ids)),
          std::move(callback),
          RequestMeter(model.metrics, {static_cast<std::int32_t>(prompt_ids.size()), params.max_new_tokens}),
          0, static_cast<std::int32_t>(prompt_ids.size())}) {}

Generation::~Generation() = default;

std::variant<std::shared_ptr<Generation>, Rejected> Generation::start(const ServedModel& model,
                                                                      std::vector<TokenId> prompt_ids,
                                                                      const GenerationParams& params,
                                                                      Post post, Callback callback) {
  auto generation = std::make_shared<Generation>(Token{}, model, prompt_ids, params, std::move(callback));
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
  state_->meter.on_end(FinishReason::abort);
  state_->engine.abort(state_->request_id);
}

void Generation::on_output(const Output& output) {
  state_->meter.on_output(output);
  if (!state_->callback) return;
  TextDelta delta{.text = {},
                  .finish_reason = output.finish_reason,
                  .error = output.error,
                  .num_prompt_tokens = state_->num_prompt_tokens,
                  .num_generated_tokens = state_->num_generated_tokens += output.token >= 0,
                  .token = output.token,
                  .logprob = output.logprob,
                  .top_logprobs = output.top_logprobs,
                  .prompt_scores = output.prompt_scores,
                  .text_offset = state_->decoder.num_chars(),
                  .embedding = output.embedding,
                  .timings = output.timings};
  // The token that stops an answer is not part of its text.
  if (output.token >= 0 && output.finish_reason != FinishReason::stop)
    delta.text = state_->decoder.feed(output.token);
  if (output.finish_reason != FinishReason::none) delta.text += state_->decoder.finish();
  if (state_->decoder.stopped()) {
    if (delta.finish_reason == FinishReason::none) state_->engine.abort(state_->request_id);
    delta.finish_reason = FinishReason::stop;
    delta.stop_string = state_->decoder.stop_string();
  }
  // The callback may abort(), and its last run lets go of what it holds.
  const Callback callback = state_->callback;
  if (delta.finish_reason != FinishReason::none) {
    state_->callback = nullptr;
    state_->meter.on_end(delta.finish_reason);
  }
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
