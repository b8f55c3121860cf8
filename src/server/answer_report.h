#pragma once
// Why an answer took as long as it did: in its log line always, in the answer itself on request.
#include <cstdint>
#include <string>

#include "engine/request.h"

namespace lmdeploy {

struct AnswerReport {
  std::int64_t num_prompt_tokens = 0;
  std::int64_t num_completion_tokens = 0;
  double received_ms = 0;      // from the request's last byte to the engine: JSON, template, tokenizer
  RequestTimings engine = {};  // of the choice that ended last
};

// What is neither the engine's time nor before it, of `total_ms` since the request's last byte: text, JSON
// and the socket. For an answer that is still being written the time so far.
double sent_ms(const AnswerReport& report, double total_ms);

// "received=0.2 queued=1.5 ... total=90.1 cached=64 computed=12 preemptions=0", milliseconds and tokens.
std::string timings_text(const AnswerReport& report, double total_ms);
// The same as a JSON object: {"received_ms": 0.2, ...}.
std::string timings_json(const AnswerReport& report, double total_ms);

}  // namespace lmdeploy
