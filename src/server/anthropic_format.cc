#include "server/anthropic_format.h"

#include "server/api_error.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// Anthropic counts what the cache had apart from the other tokens of a prompt.
Json usage_json(const AnswerUsage& usage) {
  Json json{{"input_tokens", usage.num_prompt_tokens - usage.num_cached_tokens},
            {"cache_creation_input_tokens", 0},
            {"cache_read_input_tokens", usage.num_cached_tokens},
            {"output_tokens", usage.num_completion_tokens}};
  if (usage.num_reasoning_tokens)
    json["output_tokens_details"] = {{"thinking_tokens", *usage.num_reasoning_tokens}};
  return json;
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
  if (last.ends_with_calls) return "tool_use";
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

void AnthropicFormat::emit(const Json& event) {
  events_ += sse_event(event["type"].get_ref<const std::string&>(), dump_json(event));
}

std::string AnthropicFormat::opening(std::int32_t) {
  emit({{"type", "message_start"},
        {"message", message_json(head_, Json::array(), {.num_prompt_tokens = head_.num_prompt_tokens})}});
  emit({{"type", "ping"}});
  return std::exchange(events_, {});
}

std::string AnthropicFormat::chunk(const AnswerChunk& chunk) {
  if (!chunk.reasoning.empty()) add_piece("thinking", "thinking_delta", "thinking", chunk.reasoning);
  if (!chunk.text.empty()) add_piece("text", "text_delta", "text", chunk.text);
  for (const AnswerCall& call : chunk.calls) add_call(call);
  if (chunk.finish_reason != FinishReason::none) {
    last_ = chunk;
    if (is_open_) end_block();
  }
  return std::exchange(events_, {});
}

void AnthropicFormat::begin_block(Json block) {
  if (is_open_) end_block();
  emit({{"type", "content_block_start"}, {"index", blocks_.size()}, {"content_block", block}});
  blocks_.push_back(std::move(block));
  is_open_ = true;
}

void AnthropicFormat::add_piece(const char* block_type, const char* delta_type, const char* field,
                                const std::string& piece) {
  if (!is_open_ || blocks_.back()["type"] != block_type) {
    Json block{{"type", block_type}, {field, ""}};
    if (block["type"] == "thinking") block["signature"] = "";
    begin_block(std::move(block));
  }
  blocks_.back()[field].get_ref<std::string&>() += piece;
  emit({{"type", "content_block_delta"},
        {"index", blocks_.size() - 1},
        {"delta", {{"type", delta_type}, {field, piece}}}});
}

void AnthropicFormat::add_call(const AnswerCall& call) {
  if (!call.delta.name.empty()) {
    begin_block(
        {{"type", "tool_use"}, {"id", call.id}, {"name", call.delta.name}, {"input", Json::object()}});
    arguments_.clear();
  }
  arguments_ += call.delta.arguments;
  if (call.delta.arguments.empty()) return;
  emit({{"type", "content_block_delta"},
        {"index", blocks_.size() - 1},
        {"delta", {{"type", "input_json_delta"}, {"partial_json", call.delta.arguments}}}});
}

// The input of a call that was cut short is what a client can read of it: nothing.
void AnthropicFormat::end_block() {
  is_open_ = false;
  Json& block = blocks_.back();
  if (block["type"] == "tool_use")
    if (Json input = parse_arguments(arguments_); input.is_object()) block["input"] = std::move(input);
  emit({{"type", "content_block_stop"}, {"index", blocks_.size() - 1}});
}

Json AnthropicFormat::stop_fields() const {
  Json fields{{"stop_reason", stop_reason_of(last_, head_.max_tokens)}, {"stop_sequence", nullptr}};
  if (!last_.stop_string.empty()) fields["stop_sequence"] = last_.stop_string;
  return fields;
}

std::string AnthropicFormat::closing(const AnswerUsage& usage) {
  Json end{{"type", "message_delta"}, {"delta", stop_fields()}, {"usage", usage_json(usage)}};
  add_timings(end, usage);
  emit(end);
  emit({{"type", "message_stop"}});
  return std::exchange(events_, {});
}

std::string AnthropicFormat::failure(const ApiError& error) {
  return sse_event("error", error.anthropic_body(head_.request_id));
}

std::string AnthropicFormat::whole(const AnswerUsage& usage) {
  Json message = message_json(head_, blocks_, usage);
  message.update(stop_fields());
  add_timings(message, usage);
  return dump_json(message);
}

}  // namespace lmdeploy
