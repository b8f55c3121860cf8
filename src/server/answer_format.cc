#include "server/answer_format.h"

#include <algorithm>

#include "base/error.h"
#include "server/json.h"

namespace lmdeploy {
namespace {

constexpr std::string_view kIndex = R"("choices":[{"index":)";
constexpr std::string_view kNoReason = R"("finish_reason":null})";

void append_json(std::string& json, std::string_view text) {
  const bool is_plain = std::all_of(text.begin(), text.end(),
                                    [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (is_plain)
    json.append("\"").append(text).append("\"");
  else
    json += dump_json(text);
}

}  // namespace

OpenAiFormat::OpenAiFormat(AnswerHead head, std::int32_t num_choices)
    : head_(std::move(head)), fold_(num_choices) {
  // Quotes inside of strings are escaped, so these marks are found where they belong only.
  const std::string event = sse_event(text_chunk(head_, {}));
  const std::size_t index = event.find(kIndex), reason = event.find(kNoReason);
  CHECK(index != event.npos && reason != event.npos, "{}", event);
  event_start_ = event.substr(0, index + kIndex.size());
  event_end_ = event.substr(reason + kNoReason.size());
}

// The bytes of sse_event(text_chunk(head, chunk)) without a document in between: a busy server makes tens of
// thousands of these a second.
std::string OpenAiFormat::text_event(const AnswerChunk& chunk) const {
  const bool is_chat = head_.kind == AnswerKind::chat;
  std::string event;
  event.reserve(event_start_.size() + event_end_.size() + chunk.text.size() + 80);
  event.append(event_start_).append(std::to_string(chunk.choice_idx));
  if (is_chat && chunk.text.empty()) {
    event += R"(,"delta":{})";
  } else {
    event += is_chat ? R"(,"delta":{"content":)" : R"(,"text":)";
    append_json(event, chunk.text);
    if (is_chat) event += '}';
  }
  event += R"(,"logprobs":null,)";
  if (chunk.finish_reason == FinishReason::none)
    event += kNoReason;
  else
    event.append(R"("finish_reason":)").append(finish_reason_json(chunk).dump()).append("}");
  return event += event_end_;
}

std::string_view OpenAiFormat::prompt_field() const {
  return head_.kind == AnswerKind::chat ? "messages" : "prompt";
}

std::string OpenAiFormat::opening(std::int32_t choice_idx) {
  return head_.kind == AnswerKind::chat ? sse_event(role_chunk(head_, choice_idx)) : std::string{};
}

// A token whose text is not certain yet has no event of its own.
std::string OpenAiFormat::chunk(const AnswerChunk& chunk) {
  const bool says_nothing =
      !chunk.says_something() && chunk.tokens.empty() && chunk.finish_reason == FinishReason::none;
  if (says_nothing) return {};
  const bool is_text = chunk.tokens.empty() && chunk.reasoning.empty() && chunk.calls.empty();
  return is_text ? text_event(chunk) : sse_event(text_chunk(head_, chunk));
}

std::string OpenAiFormat::closing(const AnswerUsage& usage) {
  std::string bytes;
  if (head_.include_usage || !usage.timings.empty()) bytes = sse_event(usage_chunk(head_, usage));
  bytes += kSseDone;
  return bytes;
}

}  // namespace lmdeploy
