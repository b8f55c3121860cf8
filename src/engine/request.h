#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/token_mask.h"

namespace lmdeploy {

using TokenId = std::int32_t;
using RequestId = std::uint64_t;

// How tokens are drawn; the meaning of each value is ops::SamplingRow's.
struct SamplingParams {
  float temperature = 1;
  std::int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float typical_p = 1;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::uint64_t seed = 0;
};

inline constexpr std::int32_t kMaxTopLogprobs = 20;

struct TokenBias {
  TokenId token = -1;
  float bias = 0;
};

struct TokenLogprob {
  TokenId token = -1;
  float logprob = 0;

  bool operator==(const TokenLogprob&) const = default;
};

// What the model thought of one token, given all that come before it.
struct TokenScore {
  TokenId token = -1;
  float logprob = 0;
  std::vector<TokenLogprob> top = {};  // [Request::num_top_logprobs], the most likely first

  bool operator==(const TokenScore&) const = default;
};

// Which of a prompt's hidden states, behind the model's final norm, make its embedding.
enum class Pooling : std::uint8_t { none, last, mean };

// What a caller asks of the engine: ids in, ids out. Strings end in text/.
struct Request {
  std::vector<TokenId> prompt_ids;  // not empty
  SamplingParams sampling;
  std::int32_t max_new_tokens = 0;      // 0: until the session length is reached
  std::int32_t min_new_tokens = 0;      // stop tokens are not drawn before
  std::vector<TokenId> stop_token_ids;  // end the answer and are not part of its text
  bool ignore_eos = false;              // stop_token_ids do not end the answer
  bool prompt_only = false;             // nothing is generated: ends with `length` behind the prompt

  // Other than none: as prompt_only, and the embedding comes with the last call. The prompt takes no part in
  // the prefix cache. Not together with prompt_logprobs.
  Pooling pooling = Pooling::none;

  std::vector<TokenBias> logit_bias;            // added to the logits before anything else; distinct tokens
  std::vector<std::vector<TokenId>> bad_words;  // sequences that do not come in the answer; none empty

  // The form of this answer, of which each request has its own; null: any. What ends an answer of that form
  // is among stop_token_ids. It goes before min_new_tokens and bad_words where the answer is whole.
  std::shared_ptr<TokenMask> mask;

  // Log probabilities are the model's own, before anything that shapes the draw.
  bool logprobs = false;              // of the answer's tokens
  bool prompt_logprobs = false;       // of the prompt's, all of which are computed then, whatever is cached
  std::int32_t num_top_logprobs = 0;  // beside each of them the most likely ones, up to kMaxTopLogprobs

  // Requests find each other's blocks in the prefix cache only where their salts are equal, so that nobody
  // can time what another's prompts were: one salt for each user.
  std::string cache_salt;
  // Past it the request ends with finish_reason timeout, within one step; max(): never.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

enum class FinishReason : std::uint8_t {
  none,     // more will come
  stop,     // a stop token was drawn
  length,   // max_new_tokens or the session length was reached
  abort,    // abort() was called, or the engine shut down
  error,    // see Output::error
  timeout,  // Request::deadline has passed
};

constexpr const char* finish_reason_name(FinishReason reason) {
  constexpr const char* kNames[] = {"none", "stop", "length", "abort", "error", "timeout"};
  return kNames[static_cast<std::size_t>(reason)];
}

// Where a request's time went: but for sampled_ms the milliseconds add up to what has passed since submit().
struct RequestTimings {
  double queued_ms = 0;                  // until its first step
  double prefill_ms = 0;                 // until its first token
  double decode_ms = 0;                  // since then
  double sampled_ms = 0;                 // of the two before: the draws of its steps, company included
  double preempted_ms = 0;               // in between, without blocks or computing again what it had lost
  std::int32_t num_cached_tokens = 0;    // of the prompt, found in the prefix cache and not computed
  std::int32_t num_computed_tokens = 0;  // of prompt and answer, those computed again included
  std::int32_t num_preemptions = 0;
};

// One step of an answer. The engine's thread calls the sink in order, one call per token; the last call has a
// finish_reason. The stop token itself is delivered, with finish_reason stop.
struct Output {
  RequestId request_id = 0;
  TokenId token = -1;  // -1: none in this call
  float logprob = 0;   // of `token`, where Request::logprobs asks for it
  FinishReason finish_reason = FinishReason::none;
  std::string error;
  std::vector<TokenLogprob> top_logprobs = {};  // [num_top_logprobs], the most likely first
  // Of prompt_ids from the second one on, in the first call, where Request::prompt_logprobs asks for it.
  std::shared_ptr<const std::vector<TokenScore>> prompt_scores = {};
  std::shared_ptr<const std::vector<float>> embedding = {};  // [hidden_size], where Request::pooling asks
  RequestTimings timings = {};                               // up to this output
};

// Must not block and must not call the engine: post to another thread. After the call with a finish_reason it
// is destroyed.
using Sink = std::function<void(const Output&)>;

}  // namespace lmdeploy
