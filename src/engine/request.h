#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lmdeploy {

using TokenId = std::int32_t;
using RequestId = std::uint64_t;

// How tokens are drawn; the meaning of each value is ops::SamplingRow's.
struct SamplingParams {
  float temperature = 1;
  std::int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  std::uint64_t seed = 0;
};

// What a caller asks of the engine: ids in, ids out. Strings end in text/.
struct Request {
  std::vector<TokenId> prompt_ids;  // not empty
  SamplingParams sampling;
  std::int32_t max_new_tokens = 0;      // 0: until the session length is reached
  std::int32_t min_new_tokens = 0;      // stop tokens are not drawn before
  std::vector<TokenId> stop_token_ids;  // end the answer and are not part of its text
  bool ignore_eos = false;              // stop_token_ids do not end the answer

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

// Where a request's time went: the milliseconds add up to what has passed since submit().
struct RequestTimings {
  double queued_ms = 0;                  // until its first step
  double prefill_ms = 0;                 // until its first token
  double decode_ms = 0;                  // since then
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
  float logprob = 0;   // of `token` under the model, before temperature and truncation
  FinishReason finish_reason = FinishReason::none;
  std::string error;
  RequestTimings timings = {};  // up to this output
};

// Must not block and must not call the engine: post to another thread. After the call with a finish_reason it
// is destroyed.
using Sink = std::function<void(const Output&)>;

}  // namespace lmdeploy
