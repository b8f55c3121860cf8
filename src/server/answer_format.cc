#include "server/answer_format.h"

namespace lmdeploy {

std::string_view OpenAiFormat::prompt_field() const {
  return head_.kind == AnswerKind::chat ? "messages" : "prompt";
}

std::string OpenAiFormat::opening(std::int32_t choice_idx) {
  return head_.kind == AnswerKind::chat ? sse_event(role_chunk(head_, choice_idx)) : std::string{};
}

// A token whose text is not certain yet has no event of its own.
std::string OpenAiFormat::chunk(const AnswerChunk& chunk) {
  const bool says_nothing =
      chunk.text.empty() && chunk.tokens.empty() && chunk.finish_reason == FinishReason::none;
  return says_nothing ? std::string{} : sse_event(text_chunk(head_, chunk));
}

std::string OpenAiFormat::closing(const AnswerUsage& usage) {
  std::string bytes;
  if (head_.include_usage || !usage.timings.empty()) bytes = sse_event(usage_chunk(head_, usage));
  bytes += kSseDone;
  return bytes;
}

}  // namespace lmdeploy
