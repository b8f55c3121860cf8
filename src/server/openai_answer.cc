#include "server/openai_answer.h"

#include <fmt/format.h>

#include <ctime>

#include "server/api_error.h"
#include "server/json.h"
#include "server/request_id.h"

namespace lmdeploy {
namespace {

Json finish_reason_json(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    default:
      return nullptr;
  }
}

Json usage_json(const AnswerUsage& usage) {
  return {{"prompt_tokens", usage.num_prompt_tokens},
          {"completion_tokens", usage.num_completion_tokens},
          {"total_tokens", usage.num_prompt_tokens + usage.num_completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", 0}}}};
}

// Token texts of a damaged vocabulary need not be UTF-8.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
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
  return dump(chunk);
}

Json delta_choice(std::int32_t choice_idx, Json delta, FinishReason finish_reason) {
  return {{"index", choice_idx},
          {"delta", std::move(delta)},
          {"logprobs", nullptr},
          {"finish_reason", finish_reason_json(finish_reason)}};
}

Json text_choice(std::int32_t choice_idx, const std::string& text, FinishReason finish_reason) {
  return {{"index", choice_idx},
          {"text", text},
          {"logprobs", nullptr},
          {"finish_reason", finish_reason_json(finish_reason)}};
}

}  // namespace

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
      Json::array({delta_choice(choice_idx, {{"role", "assistant"}, {"content", ""}}, FinishReason::none)}));
}

std::string text_chunk(const AnswerHead& head, const AnswerChunk& chunk) {
  if (head.kind == AnswerKind::completion)
    return chunk_of_choices(head,
                            Json::array({text_choice(chunk.choice_idx, chunk.text, chunk.finish_reason)}));
  Json delta = Json::object();
  if (!chunk.text.empty()) delta["content"] = chunk.text;
  return chunk_of_choices(
      head, Json::array({delta_choice(chunk.choice_idx, std::move(delta), chunk.finish_reason)}));
}

std::string usage_chunk(const AnswerHead& head, const AnswerUsage& usage) {
  Json chunk = envelope(head, head.kind == AnswerKind::chat ? "chat.completion.chunk" : "text_completion",
                        Json::array());
  chunk["usage"] = usage_json(usage);
  return dump(chunk);
}

void AnswerFold::add(const AnswerChunk& chunk) {
  Choice& choice = choices_.at(static_cast<std::size_t>(chunk.choice_idx));
  choice.text += chunk.text;
  if (chunk.finish_reason != FinishReason::none) choice.finish_reason = chunk.finish_reason;
}

std::string AnswerFold::json(const AnswerHead& head, const AnswerUsage& usage) const {
  const bool is_chat = head.kind == AnswerKind::chat;
  Json choices = Json::array();
  for (const Choice& choice : choices_) {
    const auto idx = static_cast<std::int32_t>(choices.size());
    if (is_chat)
      choices.push_back({{"index", idx},
                         {"message", {{"role", "assistant"}, {"content", choice.text}}},
                         {"logprobs", nullptr},
                         {"finish_reason", finish_reason_json(choice.finish_reason)}});
    else
      choices.push_back(text_choice(idx, choice.text, choice.finish_reason));
  }
  Json answer = envelope(head, is_chat ? "chat.completion" : "text_completion", std::move(choices));
  answer["usage"] = usage_json(usage);
  return dump(answer);
}

std::string sse_event(std::string_view json) {
  return fmt::format("data: {}\n\n", json);
}

std::string sse_error(const ApiError& error) {
  return fmt::format("event: error\ndata: {}\n\n", error.body());
}

}  // namespace lmdeploy
