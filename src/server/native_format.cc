#include "server/native_format.h"

#include <algorithm>

#include "server/api_error.h"

namespace lmdeploy {
namespace {

bool says_nothing(const AnswerChunk& chunk) {
  return chunk.text.empty() && chunk.token < 0 && chunk.finish_reason == FinishReason::none;
}

void add_timings(Json& json, const AnswerUsage& usage) {
  if (!usage.timings.empty()) json["timings"] = Json::parse(usage.timings);
}

}  // namespace

Json GenerateFormat::meta_info(const AnswerChunk& chunk) const {
  const bool ends = chunk.finish_reason != FinishReason::none;
  Json finish_reason = nullptr;
  if (ends) finish_reason = Json{{"type", finish_reason_json(chunk.finish_reason)}};
  Json logprobs = nullptr;  // [[log probability, id], ...]
  for (const AnswerToken& token : chunk.tokens)
    logprobs.push_back(Json::array({logprob_json(token.logprob), token.token}));
  return {{"prompt_tokens", num_prompt_tokens_},
          {"completion_tokens", chunk.num_generated_tokens},
          {"finish_reason", std::move(finish_reason)},
          {"output_token_logprobs", std::move(logprobs)}};
}

std::string GenerateFormat::chunk(const AnswerChunk& chunk) {
  if (says_nothing(chunk)) return {};
  Json ids = Json::array();
  if (chunk.token >= 0) ids.push_back(chunk.token);
  return sse_event(
      dump_json({{"text", chunk.text}, {"output_ids", std::move(ids)}, {"meta_info", meta_info(chunk)}}));
}

std::string GenerateFormat::closing(const AnswerUsage& usage) {
  std::string bytes;
  if (!usage.timings.empty()) {
    Json json = Json::object();
    add_timings(json, usage);
    bytes = sse_event(dump_json(json));
  }
  bytes += kSseDone;
  return bytes;
}

void GenerateFormat::fold(const AnswerChunk& chunk) {
  text_ += chunk.text;
  if (chunk.token >= 0) output_ids_.push_back(chunk.token);
  std::vector<AnswerToken> tokens = std::move(last_.tokens);
  tokens.insert(tokens.end(), chunk.tokens.begin(), chunk.tokens.end());
  last_ = chunk;
  last_.tokens = std::move(tokens);
}

std::string GenerateFormat::whole(const AnswerUsage& usage) {
  Json json{{"text", text_}, {"output_ids", output_ids_}, {"meta_info", meta_info(last_)}};
  add_timings(json, usage);
  return dump_json(json);
}

Json InteractiveFormat::object(const std::string& text, const AnswerChunk& chunk) const {
  const std::int64_t num_history =
      conversation_.turn == nullptr
          ? 0
          : std::min(conversation_.turn->num_history_tokens(), conversation_.num_prompt_tokens);
  return {{"text", text},
          {"tokens", chunk.num_generated_tokens},
          {"input_tokens", conversation_.num_prompt_tokens - num_history},
          {"history_tokens", num_history},
          {"finish_reason", finish_reason_json(chunk.finish_reason)}};
}

std::string InteractiveFormat::chunk(const AnswerChunk& chunk) {
  fold(chunk);
  if (chunk.text.empty() && chunk.finish_reason == FinishReason::none) return {};
  return dump_json(object(chunk.text, chunk)) + "\n";
}

std::string InteractiveFormat::failure(const ApiError& error) {
  return error.body() + "\n";
}

void InteractiveFormat::fold(const AnswerChunk& chunk) {
  text_ += chunk.text;
  last_ = chunk;
}

void InteractiveFormat::remember() {
  if (conversation_.turn == nullptr) return;
  if (!conversation_.goes_on) {
    conversation_.turn->end();
    return;
  }
  Json messages = std::move(conversation_.messages);
  messages.push_back({{"role", "assistant"}, {"content", text_}});
  conversation_.turn->commit(std::move(messages),
                             conversation_.num_prompt_tokens + last_.num_generated_tokens,
                             Sessions::Clock::now());
}

std::string InteractiveFormat::closing(const AnswerUsage& usage) {
  remember();
  if (usage.timings.empty()) return {};
  Json json = object("", last_);
  add_timings(json, usage);
  return dump_json(json) + "\n";
}

std::string InteractiveFormat::whole(const AnswerUsage& usage) {
  remember();
  Json json = object(text_, last_);
  add_timings(json, usage);
  return dump_json(json);
}

}  // namespace lmdeploy
