#include "server/responses_format.h"

#include <ctime>

#include "server/api_error.h"
#include "server/json.h"
#include "server/request_id.h"

namespace lmdeploy {
namespace {

constexpr int kIdDigits = 24;

Json usage_json(const AnswerUsage& usage) {
  return {{"input_tokens", usage.num_prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.num_cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", usage.num_completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", 0}}},
          {"total_tokens", usage.num_prompt_tokens + usage.num_completion_tokens}};
}

Json text_part(const std::string& text, Json logprobs) {
  return {{"type", "output_text"},
          {"annotations", Json::array()},
          {"logprobs", std::move(logprobs)},
          {"text", text}};
}

std::string_view status_of(FinishReason reason) {
  if (reason == FinishReason::length) return "incomplete";
  return reason == FinishReason::abort ? "cancelled" : "completed";
}

}  // namespace

Json new_response(const std::string& id, const std::string& model, const Json& echo) {
  Json response{{"id", id},
                {"object", "response"},
                {"created_at", std::time(nullptr)},
                {"status", "in_progress"},
                {"background", false},
                {"error", nullptr},
                {"incomplete_details", nullptr},
                {"max_tool_calls", nullptr},
                {"model", model},
                {"output", Json::array()},
                {"service_tier", "default"},
                {"truncation", "disabled"},
                {"usage", nullptr}};
  response.update(echo);
  return response;
}

void ResponsesFormat::emit(std::string_view type, Json fields) {
  Json json{{"type", type}, {"sequence_number", sequence_number_++}};
  json.update(fields);
  events_ += sse_event(type, dump_json(json));
}

std::string ResponsesFormat::take_events() {
  return std::exchange(events_, {});
}

std::string ResponsesFormat::opening(std::int32_t) {
  emit("response.created", {{"response", response_}});
  emit("response.in_progress", {{"response", response_}});
  return take_events();
}

std::string ResponsesFormat::chunk(const AnswerChunk& chunk) {
  if (!chunk.text.empty() || !chunk.tokens.empty()) add_text(chunk);
  if (chunk.finish_reason != FinishReason::none) {
    finish_reason_ = chunk.finish_reason;
    if (item_.is_null()) begin_message();
    end_message(finish_reason_ == FinishReason::stop ? "completed" : "incomplete");
  }
  return take_events();
}

void ResponsesFormat::begin_message() {
  item_ = {{"id", "msg_" + random_id(kIdDigits)},
           {"type", "message"},
           {"status", "in_progress"},
           {"role", "assistant"},
           {"content", Json::array()}};
  const std::size_t idx = response_["output"].size();
  emit("response.output_item.added", {{"output_index", idx}, {"item", item_}});
  emit("response.content_part.added", {{"item_id", item_["id"]},
                                       {"output_index", idx},
                                       {"content_index", 0},
                                       {"part", text_part("", Json::array())}});
}

void ResponsesFormat::add_text(const AnswerChunk& chunk) {
  if (item_.is_null()) begin_message();
  Json logprobs = Json::array();
  if (!chunk.tokens.empty()) logprobs = chat_logprobs(chunk.tokens)["content"];
  text_ += chunk.text;
  for (const Json& logprob : logprobs) logprobs_.push_back(logprob);
  emit("response.output_text.delta", {{"item_id", item_["id"]},
                                      {"output_index", response_["output"].size()},
                                      {"content_index", 0},
                                      {"delta", chunk.text},
                                      {"logprobs", std::move(logprobs)}});
}

void ResponsesFormat::end_message(std::string_view status) {
  const Json part = text_part(text_, logprobs_);
  const std::size_t idx = response_["output"].size();
  emit("response.output_text.done", {{"item_id", item_["id"]},
                                     {"output_index", idx},
                                     {"content_index", 0},
                                     {"text", text_},
                                     {"logprobs", logprobs_}});
  emit("response.content_part.done",
       {{"item_id", item_["id"]}, {"output_index", idx}, {"content_index", 0}, {"part", part}});
  item_["status"] = status;
  item_["content"].push_back(part);
  emit("response.output_item.done", {{"output_index", idx}, {"item", item_}});
  response_["output"].push_back(std::exchange(item_, nullptr));
}

void ResponsesFormat::end(const AnswerUsage& usage) {
  response_["status"] = status_of(finish_reason_);
  if (finish_reason_ == FinishReason::length)
    response_["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (finish_reason_ == FinishReason::stop) response_["completed_at"] = std::time(nullptr);
  response_["usage"] = usage_json(usage);
  on_end_(response_, {{"role", "assistant"}, {"content", text_}});
  if (!usage.timings.empty()) response_["timings"] = Json::parse(usage.timings);
}

std::string ResponsesFormat::closing(const AnswerUsage& usage) {
  end(usage);
  emit(finish_reason_ == FinishReason::stop ? "response.completed" : "response.incomplete",
       {{"response", response_}});
  return take_events();
}

std::string ResponsesFormat::failure(const ApiError& error) {
  response_["status"] = "failed";
  response_["error"] = {{"code", error.status() == 429 ? "rate_limit_exceeded" : "server_error"},
                        {"message", error.problem()}};
  on_end_(response_, nullptr);
  emit("response.failed", {{"response", response_}});
  return take_events();
}

std::string ResponsesFormat::whole(const AnswerUsage& usage) {
  end(usage);
  return dump_json(response_);
}

}  // namespace lmdeploy
