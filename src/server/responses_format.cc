#include "server/responses_format.h"

#include <ctime>

#include "server/api_error.h"
#include "server/openai_fields.h"
#include "server/request_id.h"

namespace lmdeploy {
namespace {

constexpr int kIdDigits = 24;

Json usage_json(const AnswerUsage& usage) {
  return {{"input_tokens", usage.num_prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.num_cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", usage.num_completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", usage.num_reasoning_tokens.value_or(0)}}},
          {"total_tokens", usage.num_prompt_tokens + usage.num_completion_tokens}};
}

Json text_part(const std::string& text, Json logprobs) {
  return {{"type", "output_text"},
          {"annotations", Json::array()},
          {"logprobs", std::move(logprobs)},
          {"text", text}};
}

Json reasoning_part(const std::string& text) {
  return {{"type", "reasoning_text"}, {"text", text}};
}

std::string_view status_of(FinishReason reason) {
  if (reason == FinishReason::length) return "incomplete";
  return reason == FinishReason::abort ? "cancelled" : "completed";
}

// What the answer is in a conversation, as a template reads it.
Json message_of(const AnswerChunk& sum) {
  Json message{{"role", "assistant"}, {"content", sum.text}};
  if (sum.text.empty() && !sum.calls.empty()) message["content"] = nullptr;
  if (!sum.reasoning.empty()) message["reasoning_content"] = sum.reasoning;
  for (const AnswerCall& call : sum.calls)
    message["tool_calls"].push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.delta.name}, {"arguments", parse_arguments(call.delta.arguments)}}}});
  return message;
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

void ResponsesFormat::emit_of_item(std::string_view type, Json fields) {
  Json all{{"item_id", item_["id"]}, {"output_index", response_["output"].size()}};
  if (kind_ != Item::call) all["content_index"] = 0;
  all.update(fields);
  emit(type, std::move(all));
}

std::string ResponsesFormat::chunk(const AnswerChunk& chunk) {
  add_chunk(chunk, sum_);
  new_tokens_.insert(new_tokens_.end(), chunk.tokens.begin(), chunk.tokens.end());
  if (!chunk.reasoning.empty()) add_reasoning(chunk.reasoning);
  if (!chunk.text.empty()) add_text(chunk.text);
  for (const AnswerCall& call : chunk.calls) add_call(call);
  if (chunk.finish_reason != FinishReason::none) {
    const bool says_nothing = kind_ == Item::none && response_["output"].empty();
    if (says_nothing || (kind_ == Item::message && !new_tokens_.empty())) add_text("");
    end_item();
  }
  return take_events();
}

void ResponsesFormat::begin(Item kind, Json item) {
  end_item();
  kind_ = kind;
  item_ = std::move(item);
  text_.clear();
  logprobs_ = Json::array();
  emit("response.output_item.added", {{"output_index", response_["output"].size()}, {"item", item_}});
}

void ResponsesFormat::begin_part(Json part) {
  emit_of_item("response.content_part.added", {{"part", std::move(part)}});
}

void ResponsesFormat::add_reasoning(const std::string& piece) {
  if (kind_ != Item::reasoning) {
    begin(Item::reasoning, {{"id", "rs_" + random_id(kIdDigits)},
                            {"type", "reasoning"},
                            {"status", "in_progress"},
                            {"summary", Json::array()},
                            {"content", Json::array()}});
    begin_part(reasoning_part(""));
  }
  new_tokens_.clear();
  text_ += piece;
  emit_of_item("response.reasoning_text.delta", {{"delta", piece}});
}

void ResponsesFormat::add_text(const std::string& piece) {
  if (kind_ != Item::message) {
    begin(Item::message, {{"id", "msg_" + random_id(kIdDigits)},
                          {"type", "message"},
                          {"status", "in_progress"},
                          {"role", "assistant"},
                          {"content", Json::array()}});
    begin_part(text_part("", Json::array()));
  }
  if (piece.empty() && new_tokens_.empty()) return;
  const Json logprobs = chat_logprobs(std::exchange(new_tokens_, {}))["content"];
  text_ += piece;
  for (const Json& logprob : logprobs) logprobs_.push_back(logprob);
  emit_of_item("response.output_text.delta", {{"delta", piece}, {"logprobs", logprobs}});
}

void ResponsesFormat::add_call(const AnswerCall& call) {
  if (!call.delta.name.empty())
    begin(Item::call, {{"id", "fc_" + random_id(kIdDigits)},
                       {"type", "function_call"},
                       {"status", "in_progress"},
                       {"call_id", call.id},
                       {"name", call.delta.name},
                       {"arguments", ""}});
  new_tokens_.clear();
  text_ += call.delta.arguments;
  if (!call.delta.arguments.empty())
    emit_of_item("response.function_call_arguments.delta", {{"delta", call.delta.arguments}});
}

Json ResponsesFormat::end_part() {
  if (kind_ == Item::reasoning) {
    emit_of_item("response.reasoning_text.done", {{"text", text_}});
    return reasoning_part(text_);
  }
  emit_of_item("response.output_text.done", {{"text", text_}, {"logprobs", logprobs_}});
  return text_part(text_, logprobs_);
}

void ResponsesFormat::end_item() {
  if (kind_ == Item::none) return;
  if (kind_ == Item::call) {
    emit_of_item("response.function_call_arguments.done", {{"name", item_["name"]}, {"arguments", text_}});
    item_["arguments"] = text_;
  } else {
    const Json part = end_part();
    emit_of_item("response.content_part.done", {{"part", part}});
    item_["content"].push_back(part);
  }
  const bool is_cut = sum_.finish_reason != FinishReason::none && sum_.finish_reason != FinishReason::stop;
  item_["status"] = is_cut ? "incomplete" : "completed";
  emit("response.output_item.done", {{"output_index", response_["output"].size()}, {"item", item_}});
  response_["output"].push_back(std::exchange(item_, nullptr));
  kind_ = Item::none;
}

void ResponsesFormat::end(const AnswerUsage& usage) {
  response_["status"] = status_of(sum_.finish_reason);
  if (sum_.finish_reason == FinishReason::length)
    response_["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (sum_.finish_reason == FinishReason::stop) response_["completed_at"] = std::time(nullptr);
  response_["usage"] = usage_json(usage);
  on_end_(response_, message_of(sum_));
  if (!usage.timings.empty()) response_["timings"] = Json::parse(usage.timings);
}

std::string ResponsesFormat::closing(const AnswerUsage& usage) {
  end(usage);
  emit(sum_.finish_reason == FinishReason::stop ? "response.completed" : "response.incomplete",
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
