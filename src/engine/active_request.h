#pragma once
#include <algorithm>
#include <utility>

#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/sequence.h"

namespace lmdeploy {

// All that the engine keeps of one request from submit() to the last call of its sink.
struct ActiveRequest {
  // session_len: prompt and answer, more than the prompt's length.
  ActiveRequest(RequestId id, Request&& request, std::int32_t session_len, std::int32_t vocab_size,
                Sink sink_in)
      : sampling(request, vocab_size), sink(std::move(sink_in)) {
    sequence.id = id;
    sequence.prompt_len = static_cast<std::int32_t>(request.prompt_ids.size());
    sequence.token_ids = std::move(request.prompt_ids);
    const std::int32_t room = session_len - sequence.prompt_len;
    const std::int32_t max_new_tokens = request.max_new_tokens > 0 ? request.max_new_tokens : room;
    sequence.max_len = sequence.prompt_len + std::min(max_new_tokens, room);
    sequence.stop_token_ids = std::move(request.stop_token_ids);
    sequence.ignore_stop = request.ignore_eos;
  }

  Sequence sequence;
  SamplingState sampling;
  Sink sink;
};

}  // namespace lmdeploy
