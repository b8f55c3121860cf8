#pragma once
// From prompt ids to pieces of text: the engine, the stream decoder, stop strings, finish reasons and counts
// in one place, for the HTTP routes and for the terminal chat.
//
// The terminal chat, on its own thread:
//   std::atomic<bool> interrupted;                                  // set by the SIGINT handler
//   auto result = generate(model, std::move(ids), params, [&](const TextDelta& delta) {
//     fmt::print("{}", delta.text);
//     return !interrupted.load();                                   // false ends the answer
//   });
//   if (const auto* rejected = std::get_if<Rejected>(&result)) ...  // e.g. the conversation is too long
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "server/served_model.h"
#include "text/grammar.h"

namespace lmdeploy {

struct GenerationParams {
  SamplingParams sampling;
  std::int32_t max_new_tokens = 0;      // 0: until the session length is reached
  std::int32_t min_new_tokens = 0;      // stop tokens are not drawn before; stop strings still end the answer
  std::vector<TokenId> stop_token_ids;  // beside the model's own
  std::vector<std::string> stop;        // none empty
  std::vector<TokenBias> logit_bias;    // Request::logit_bias
  std::vector<std::string> bad_words;   // their tokens, with a space before or not, do not come; none empty
  bool logprobs = false;                // these five as in Request
  bool prompt_logprobs = false;
  std::int32_t num_top_logprobs = 0;
  bool prompt_only = false;
  Pooling pooling = Pooling::none;
  bool continues_prompt = false;  // the text goes on where the prompt ends: a first word keeps its space
  bool include_stop_str_in_output = false;
  bool ignore_eos = false;  // the model's own stop tokens do not end the answer; stop_token_ids still do
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;
  std::vector<TokenId> shown_tokens = {};       // special ones whose text shows in any case
  std::shared_ptr<const Grammar> grammar = {};  // of the answer; null: any text
  std::string cache_salt;                       // Request::cache_salt
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

// One step of an answer as text. The last delta has a finish_reason: stop also for a stop string.
struct TextDelta {
  std::string text;  // may be empty: a token whose text is not certain yet
  FinishReason finish_reason = FinishReason::none;
  std::string error;             // with finish_reason error
  std::string stop_string = {};  // of GenerationParams::stop, where one of these has ended the answer
  std::int32_t num_prompt_tokens = 0;
  std::int32_t num_generated_tokens = 0;  // so far, a stop token included
  TokenId token = -1;                     // of this step; -1: none
  // Where they were asked for: as in Output, and the characters that the text had before this token.
  float logprob = 0;
  std::vector<TokenLogprob> top_logprobs = {};
  std::shared_ptr<const std::vector<TokenScore>> prompt_scores = {};
  std::int64_t text_offset = 0;
  std::shared_ptr<const std::vector<float>> embedding = {};  // with the last delta, as in Output
  RequestTimings timings = {};                               // so far
};

class Generation : public std::enable_shared_from_this<Generation> {
 public:
  using Callback = std::function<void(const TextDelta&)>;
  // Runs the tasks one after another, in order, never inside the call itself. Called on the engine's thread.
  using Post = std::function<void(std::function<void()>)>;

  // Submits to the engine. The callback runs through `post` only, once per token, until a finish_reason; call
  // this where those tasks run, so that none runs before it has returned. The generation keeps itself alive.
  static std::variant<std::shared_ptr<Generation>, Rejected> start(const ServedModel& model,
                                                                   std::vector<TokenId> prompt_ids,
                                                                   const GenerationParams& params, Post post,
                                                                   Callback callback);

  // Ends the answer; the callback is not called any more. To be called where the callback runs.
  void abort();

 private:
  struct Token {};

 public:
  Generation(Token, const ServedModel& model, std::span<const TokenId> prompt_ids,
             const GenerationParams& params, Callback callback);
  ~Generation();

 private:
  void on_output(const Output& output);

  struct State;
  std::unique_ptr<State> state_;
};

// The blocking form: calls on_delta on the calling thread for every delta. Once it returns false the answer
// is aborted and this returns; the delta that is returned then has finish_reason abort. Otherwise it returns
// the last delta.
std::variant<TextDelta, Rejected> generate(const ServedModel& model, std::vector<TokenId> prompt_ids,
                                           const GenerationParams& params,
                                           const std::function<bool(const TextDelta&)>& on_delta);

}  // namespace lmdeploy
