#pragma once
#include <algorithm>
#include <optional>
#include <utility>

#include "engine/draw_mask.h"
#include "engine/prompt_pooling.h"
#include "engine/prompt_scores.h"
#include "engine/request.h"
#include "engine/request_clock.h"
#include "engine/sampler.h"
#include "engine/sequence.h"

namespace lmdeploy {

// All that the engine keeps of one request from submit() to the last call of its sink.
struct ActiveRequest {
  // session_len: prompt and answer, more than the prompt's length.
  ActiveRequest(RequestId id, Request&& request, std::int32_t session_len, std::int32_t vocab_size,
                Sink sink_in)
      : sampling(request, vocab_size),
        sink(std::move(sink_in)),
        prompt_only(request.prompt_only || request.pooling != Pooling::none),
        deadline(request.deadline),
        clock(std::chrono::steady_clock::now()) {
    sequence.id = id;
    sequence.prompt_len = static_cast<std::int32_t>(request.prompt_ids.size());
    sequence.token_ids = std::move(request.prompt_ids);
    const std::int32_t room = session_len - sequence.prompt_len;
    std::int32_t max_new_tokens = request.max_new_tokens > 0 ? request.max_new_tokens : room;
    if (prompt_only) max_new_tokens = 1;  // what is drawn behind the prompt is not sent
    sequence.max_len = sequence.prompt_len + std::min(max_new_tokens, room);
    sequence.stop_token_ids = std::move(request.stop_token_ids);
    sequence.ignore_stop = request.ignore_eos || prompt_only;
    sequence.cache_salt = std::move(request.cache_salt);
    sequence.reads_cache = !request.prompt_logprobs && request.pooling == Pooling::none;
    sequence.writes_cache = request.pooling == Pooling::none;
    if (request.mask && !prompt_only) mask = std::make_shared<DrawMask>(std::move(request.mask), vocab_size);
    if (request.prompt_logprobs) prompt_scores.emplace(sequence.prompt_len, request.num_top_logprobs);
    if (request.pooling != Pooling::none) prompt_pooling.emplace(request.pooling, sequence.prompt_len);
  }

  Sequence sequence;
  SamplingState sampling;
  std::shared_ptr<DrawMask> mask;  // null: every token is allowed
  Sink sink;
  std::optional<PromptScores> prompt_scores;  // until they are sent
  std::optional<PromptPooling> prompt_pooling;
  bool prompt_only;
  std::chrono::steady_clock::time_point deadline;
  RequestClock clock;
  double sampled_ms = 0;  // RequestTimings::sampled_ms
};

}  // namespace lmdeploy
