#include "server/logprobs_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/json.h"

namespace lmdeploy {
namespace {

// JSON has no infinity; OpenAI says this of a token that cannot come.
constexpr float kLeastLogprob = -9999;

bool is_utf8(const std::string& bytes) {
  try {
    Json(bytes).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

// A part of a character by its bytes, as OpenAI writes it: \xf0\x9f.
std::string shown(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  std::string text;
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    text += code < 0x80 ? std::string(1, byte) : fmt::format("\\x{:02x}", code);
  }
  return text;
}

std::string shown_in_completion(const std::string& bytes) {
  return is_utf8(bytes) ? bytes : "bytes:" + shown(bytes);
}

Json bytes_json(const std::string& bytes) {
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return list;
}

Json chat_entry(const std::string& bytes, std::optional<float> logprob) {
  return {{"token", shown(bytes)}, {"logprob", logprob_json(logprob)}, {"bytes", bytes_json(bytes)}};
}

// Of two tokens with one text the more likely one is told.
Json completion_map(const AnswerToken& token) {
  if (!token.logprob) return nullptr;
  Json map = Json::object();
  for (const auto& top : token.top) map.emplace(shown_in_completion(top.bytes), logprob_json(top.logprob));
  map.emplace(shown_in_completion(token.bytes), logprob_json(token.logprob));
  return map;
}

}  // namespace

Json logprob_json(std::optional<float> logprob) {
  if (!logprob || std::isnan(*logprob)) return nullptr;
  return std::max(*logprob, kLeastLogprob);
}

Json chat_logprobs(std::span<const AnswerToken> tokens) {
  Json content = Json::array();
  for (const AnswerToken& token : tokens) {
    Json entry = chat_entry(token.bytes, token.logprob);
    Json tops = Json::array();
    for (const auto& top : token.top) tops.push_back(chat_entry(top.bytes, top.logprob));
    entry["top_logprobs"] = std::move(tops);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json completion_logprobs(std::span<const AnswerToken> tokens) {
  Json texts = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const AnswerToken& token : tokens) {
    texts.push_back(shown_in_completion(token.bytes));
    logprobs.push_back(logprob_json(token.logprob));
    tops.push_back(completion_map(token));
    offsets.push_back(token.text_offset);
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace lmdeploy
