#include "server/anthropic_format.h"

#include "server/api_error.h"
#include "server/json.h"

namespace lmdeploy {
namespace {

std::string event(const Json& json) {
  return sse_event(json["type"].get_ref<const std::string&>(), dump_json(json));
}

// Anthropic counts what the cache had apart from the other tokens of a prompt.
Json usage_json(const AnswerUsage& usage) {
  return {{"input_tokens", usage.num_prompt_tokens - usage.num_cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.num_cached_tokens},
          {"output_tokens", usage.num_completion_tokens}};
}

Json message_json(const AnthropicFormat::Head& head, Json content, const AnswerUsage& usage) {
  return {{"id", head.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", head.model},
          {"content", std::move(content)},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"usage", usage_json(usage)}};
}

// An answer that /abort_request has ended is one that the client may let go on from where it is.
std::string_view stop_reason_of(const AnswerChunk& last, std::int32_t max_tokens) {
  if (!last.stop_string.empty()) return "stop_sequence";
  switch (last.finish_reason) {
    case FinishReason::length:
      return last.num_generated_tokens < max_tokens ? "model_context_window_exceeded" : "max_tokens";
    case FinishReason::abort:
      return "pause_turn";
    default:
      return "end_turn";
  }
}

void add_timings(Json& json, const AnswerUsage& usage) {
  if (!usage.timings.empty()) json["timings"] = Json::parse(usage.timings);
}

}  // namespace

std::string AnthropicFormat::opening(std::int32_t) {
  const Json message = message_json(head_, Json::array(), {.num_prompt_tokens = head_.num_prompt_tokens});
  return event({{"type", "message_start"}, {"message", message}}) + event({{"type", "ping"}});
}

std::string AnthropicFormat::add(const AnswerChunk& chunk) {
  std::string bytes;
  if (!chunk.text.empty()) bytes = add_text(chunk.text);
  if (chunk.finish_reason == FinishReason::none) return bytes;
  last_ = chunk;
  return bytes + close_block();
}

std::string AnthropicFormat::add_text(std::string_view text) {
  std::string bytes;
  if (!std::exchange(has_open_block_, true))
    bytes = event({{"type", "content_block_start"},
                   {"index", num_blocks_},
                   {"content_block", {{"type", "text"}, {"text", ""}}}});
  text_ += text;
  return bytes + event({{"type", "content_block_delta"},
                        {"index", num_blocks_},
                        {"delta", {{"type", "text_delta"}, {"text", text}}}});
}

std::string AnthropicFormat::close_block() {
  if (!std::exchange(has_open_block_, false)) return {};
  return event({{"type", "content_block_stop"}, {"index", num_blocks_++}});
}

std::string AnthropicFormat::chunk(const AnswerChunk& chunk) {
  return add(chunk);
}

Json AnthropicFormat::stop_fields() const {
  Json fields{{"stop_reason", stop_reason_of(last_, head_.max_tokens)}, {"stop_sequence", nullptr}};
  if (!last_.stop_string.empty()) fields["stop_sequence"] = last_.stop_string;
  return fields;
}

std::string AnthropicFormat::closing(const AnswerUsage& usage) {
  Json end{{"type", "message_delta"}, {"delta", stop_fields()}, {"usage", usage_json(usage)}};
  add_timings(end, usage);
  return event(end) + event({{"type", "message_stop"}});
}

std::string AnthropicFormat::failure(const ApiError& error) {
  return sse_event("error", error.anthropic_body(head_.request_id));
}

std::string AnthropicFormat::whole(const AnswerUsage& usage) {
  Json content = Json::array();
  if (!text_.empty()) content.push_back({{"type", "text"}, {"text", text_}});
  Json message = message_json(head_, std::move(content), usage);
  message.update(stop_fields());
  add_timings(message, usage);
  return dump_json(message);
}

}  // namespace lmdeploy
