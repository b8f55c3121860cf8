#include "server/openai_answer.h"

#include <fmt/format.h>

#include <ctime>

#include "server/api_error.h"
#include "server/json.h"
#include "server/request_id.h"

namespace lmdeploy {
namespace {

Json usage_json(const AnswerUsage& usage) {
  Json json{{"prompt_tokens", usage.num_prompt_tokens},
            {"completion_tokens", usage.num_completion_tokens},
            {"total_tokens", usage.num_prompt_tokens + usage.num_completion_tokens},
            {"prompt_tokens_details", {{"cached_tokens", usage.num_cached_tokens}}}};
  if (usage.num_reasoning_tokens)
    json["completion_tokens_details"] = {{"reasoning_tokens", *usage.num_reasoning_tokens}};
  return json;
}

Json delta_json(const AnswerCall& call) {
  Json json{{"index", call.delta.call_idx}};
  Json function = Json::object();
  if (!call.delta.name.empty()) {
    json["id"] = call.id;
    json["type"] = "function";
    function["name"] = call.delta.name;
  }
  function["arguments"] = call.delta.arguments;
  json["function"] = std::move(function);
  return json;
}

// What a chunk says, with the fields of which it has something.
Json delta_json(const AnswerChunk& chunk) {
  Json delta = Json::object();
  if (!chunk.reasoning.empty()) delta["reasoning_content"] = chunk.reasoning;
  if (!chunk.text.empty()) delta["content"] = chunk.text;
  for (const AnswerCall& call : chunk.calls) delta["tool_calls"].push_back(delta_json(call));
  return delta;
}

// The content of an answer that only calls or only thinks is null.
Json message_json(const AnswerChunk& choice) {
  const bool is_only_text = choice.calls.empty() && choice.reasoning.empty();
  Json message{{"role", "assistant"}, {"content", nullptr}};
  if (!choice.text.empty() || is_only_text) message["content"] = choice.text;
  if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
  for (const AnswerCall& call : choice.calls)
    message["tool_calls"].push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.delta.name}, {"arguments", call.delta.arguments}}}});
  return message;
}

Json envelope(const AnswerHead& head, const char* object, Json choices) {
  return {{"id", head.id},
          {"object", object},
          {"created", head.created},
          {"model", head.model},
          {"choices", std::move(choices)}};
}

std::string chunk_of_choices(const AnswerHead& head, Json choices) {
  Json chunk = envelope(head, head.kind == AnswerKind::chat ? "chat.completion.chunk" : "text_completion",
                        std::move(choices));
  if (head.include_usage) chunk["usage"] = nullptr;
  return dump_json(chunk);
}

Json logprobs_json(AnswerKind kind, const std::vector<AnswerToken>& tokens) {
  if (tokens.empty()) return nullptr;
  return kind == AnswerKind::chat ? chat_logprobs(tokens) : completion_logprobs(tokens);
}

// `name`: of what the choice says.
Json choice_json(const AnswerHead& head, std::int32_t choice_idx, const char* name, Json said,
                 const AnswerChunk& chunk) {
  return {{"index", choice_idx},
          {name, std::move(said)},
          {"logprobs", logprobs_json(head.kind, chunk.tokens)},
          {"finish_reason", finish_reason_json(chunk)}};
}

}  // namespace

Json finish_reason_json(FinishReason reason) {
  const bool is_said =
      reason == FinishReason::stop || reason == FinishReason::length || reason == FinishReason::abort;
  return is_said ? Json(finish_reason_name(reason)) : Json(nullptr);
}

Json finish_reason_json(const AnswerChunk& chunk) {
  return chunk.ends_with_calls ? Json("tool_calls") : finish_reason_json(chunk.finish_reason);
}

AnswerHead make_answer_head(AnswerKind kind, std::string model, bool include_usage) {
  constexpr int kIdDigits = 24;
  return {.kind = kind,
          .id = (kind == AnswerKind::chat ? "chatcmpl-" : "cmpl-") + random_id(kIdDigits),
          .model = std::move(model),
          .created = std::time(nullptr),
          .include_usage = include_usage};
}

std::string role_chunk(const AnswerHead& head, std::int32_t choice_idx) {
  return chunk_of_choices(
      head,
      Json::array({choice_json(head, choice_idx, "delta", {{"role", "assistant"}, {"content", ""}}, {})}));
}

std::string text_chunk(const AnswerHead& head, const AnswerChunk& chunk) {
  if (head.kind == AnswerKind::completion)
    return chunk_of_choices(head,
                            Json::array({choice_json(head, chunk.choice_idx, "text", chunk.text, chunk)}));
  return chunk_of_choices(
      head, Json::array({choice_json(head, chunk.choice_idx, "delta", delta_json(chunk), chunk)}));
}

std::string usage_chunk(const AnswerHead& head, const AnswerUsage& usage) {
  Json chunk = envelope(head, head.kind == AnswerKind::chat ? "chat.completion.chunk" : "text_completion",
                        Json::array());
  if (head.include_usage) chunk["usage"] = usage_json(usage);
  if (!usage.timings.empty()) chunk["timings"] = Json::parse(usage.timings);
  return dump_json(chunk);
}

void add_chunk(const AnswerChunk& chunk, AnswerChunk& sum) {
  sum.reasoning += chunk.reasoning;
  sum.text += chunk.text;
  sum.tokens.insert(sum.tokens.end(), chunk.tokens.begin(), chunk.tokens.end());
  for (const AnswerCall& call : chunk.calls) {
    if (call.delta.name.empty())
      sum.calls.back().delta.arguments += call.delta.arguments;
    else
      sum.calls.push_back(call);
  }
  sum.token = chunk.token;
  sum.num_generated_tokens = chunk.num_generated_tokens;
  sum.ends_with_calls |= chunk.ends_with_calls;
  if (chunk.finish_reason != FinishReason::none) sum.finish_reason = chunk.finish_reason;
}

void AnswerFold::add(const AnswerChunk& chunk) {
  add_chunk(chunk, choices_.at(static_cast<std::size_t>(chunk.choice_idx)));
}

std::string AnswerFold::json(const AnswerHead& head, const AnswerUsage& usage) const {
  const bool is_chat = head.kind == AnswerKind::chat;
  Json choices = Json::array();
  for (const AnswerChunk& choice : choices_) {
    const auto idx = static_cast<std::int32_t>(choices.size());
    Json said = is_chat ? message_json(choice) : Json(choice.text);
    choices.push_back(choice_json(head, idx, is_chat ? "message" : "text", std::move(said), choice));
  }
  Json answer = envelope(head, is_chat ? "chat.completion" : "text_completion", std::move(choices));
  answer["usage"] = usage_json(usage);
  if (!usage.timings.empty()) answer["timings"] = Json::parse(usage.timings);
  return dump_json(answer);
}

std::string sse_event(std::string_view json) {
  return fmt::format("data: {}\n\n", json);
}

std::string sse_event(std::string_view event, std::string_view json) {
  return fmt::format("event: {}\ndata: {}\n\n", event, json);
}

std::string sse_error(const ApiError& error) {
  return sse_event("error", error.body());
}

}  // namespace lmdeploy
