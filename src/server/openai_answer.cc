#include "server/openai_answer.h"

#include <fmt/format.h>

#include <ctime>

#include "server/api_error.h"
#include "server/json.h"
#include "server/request_id.h"

namespace lmdeploy {
namespace {

Json usage_json(const AnswerUsage& usage) {
  return {{"prompt_tokens", usage.num_prompt_tokens},
          {"completion_tokens", usage.num_completion_tokens},
          {"total_tokens", usage.num_prompt_tokens + usage.num_completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.num_cached_tokens}}}};
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
          {"finish_reason", finish_reason_json(chunk.finish_reason)}};
}

}  // namespace

Json finish_reason_json(FinishReason reason) {
  const bool is_said =
      reason == FinishReason::stop || reason == FinishReason::length || reason == FinishReason::abort;
  return is_said ? Json(finish_reason_name(reason)) : Json(nullptr);
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
  Json delta = Json::object();
  if (!chunk.text.empty()) delta["content"] = chunk.text;
  return chunk_of_choices(
      head, Json::array({choice_json(head, chunk.choice_idx, "delta", std::move(delta), chunk)}));
}

std::string usage_chunk(const AnswerHead& head, const AnswerUsage& usage) {
  Json chunk = envelope(head, head.kind == AnswerKind::chat ? "chat.completion.chunk" : "text_completion",
                        Json::array());
  if (head.include_usage) chunk["usage"] = usage_json(usage);
  if (!usage.timings.empty()) chunk["timings"] = Json::parse(usage.timings);
  return dump_json(chunk);
}

void AnswerFold::add(const AnswerChunk& chunk) {
  Choice& choice = choices_.at(static_cast<std::size_t>(chunk.choice_idx));
  choice.text += chunk.text;
  choice.tokens.insert(choice.tokens.end(), chunk.tokens.begin(), chunk.tokens.end());
  if (chunk.finish_reason != FinishReason::none) choice.finish_reason = chunk.finish_reason;
}

std::string AnswerFold::json(const AnswerHead& head, const AnswerUsage& usage) const {
  const bool is_chat = head.kind == AnswerKind::chat;
  Json choices = Json::array();
  for (const Choice& choice : choices_) {
    const auto idx = static_cast<std::int32_t>(choices.size());
    const AnswerChunk end{.finish_reason = choice.finish_reason, .tokens = choice.tokens};
    Json said = choice.text;
    if (is_chat) said = Json{{"role", "assistant"}, {"content", choice.text}};
    choices.push_back(choice_json(head, idx, is_chat ? "message" : "text", std::move(said), end));
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
