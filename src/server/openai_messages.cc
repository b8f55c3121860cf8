#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/api_error.h"
#include "server/openai_fields.h"

namespace lmdeploy {
namespace {

// InternLM's own beside OpenAI's: environment, the result of a plugin.
constexpr std::array<std::string_view, 7> kRoles{"system", "developer", "user",       "assistant",
                                                 "tool",   "function",  "environment"};

std::string parse_text_part(const Json& part, const std::string& path) {
  JsonFields fields(part, path);
  const auto type = fields.string("type");
  if (type != "text")
    throw ApiError(
        400,
        fmt::format("{}.type: only parts of type \"text\" are supported by this server yet, found {}", path,
                    describe(type ? Json(*type) : Json(nullptr))),
        {.param = path + ".type", .code = "unsupported_parameter"});
  const auto text = fields.string("text");
  if (!text) fields.fail("text", "a string", nullptr);
  fields.refuse_unknown();
  return *text;
}

std::string parse_content(const Json* content, const std::string& path) {
  if (content == nullptr || !(content->is_string() || content->is_array()))
    throw ApiError(400,
                   fmt::format("{}: expected a string or a list of text parts, found {}", path,
                               describe(content == nullptr ? Json(nullptr) : *content)),
                   {.param = path});
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) {
    if (i > 0) text += '\n';
    text += parse_text_part((*content)[i], fmt::format("{}[{}]", path, i));
  }
  return text;
}

Json parse_message(const Json& message, const std::string& path) {
  JsonFields fields(message, path);
  const auto role = fields.string("role");
  if (!role || std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end())
    fields.fail("role", "system, developer, user, assistant, tool, function or environment",
                role ? Json(*role) : Json(nullptr));
  Json parsed{{"role", *role}, {"content", parse_content(fields.any("content"), path + ".content")}};
  if (const auto name = fields.string("name")) parsed["name"] = *name;
  // An answer of ours or OpenAI's that is sent back as it came has these, empty.
  for (const char* name : {"tool_calls", "annotations"}) fields.neutral(name, {Json::array()});
  for (const char* name : {"function_call", "audio", "refusal", "reasoning_content", "tool_call_id"})
    fields.neutral(name, {});
  fields.refuse_unknown();
  return parsed;
}

}  // namespace

Json parse_messages(const Json& messages, std::size_t max_messages) {
  if (!messages.is_array() || messages.empty() || messages.size() > max_messages)
    throw ApiError(400,
                   fmt::format("messages: expected a string or a list of 1 to {} messages, found {}",
                               max_messages, describe(messages)),
                   {.param = "messages"});
  Json parsed = Json::array();
  for (std::size_t i = 0; i < messages.size(); ++i)
    parsed.push_back(parse_message(messages[i], fmt::format("messages[{}]", i)));
  return parsed;
}

}  // namespace lmdeploy
