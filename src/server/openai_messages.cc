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

Json parse_tool_call(const Json& call, const std::string& path) {
  JsonFields fields(call, path);
  if (const auto type = fields.string("type"); type && *type != "function")
    fields.fail("type", "\"function\"", *type);
  const auto id = fields.string("id");
  fields.integer("index", 0);  // of a streamed delta
  const Json* function = fields.object("function");
  if (function == nullptr) fields.fail("function", "an object", nullptr);
  fields.refuse_unknown();
  JsonFields function_fields(*function, path + ".function");
  const auto name = function_fields.string("name");
  if (!name) function_fields.fail("name", "a string", nullptr);
  const Json* arguments = function_fields.any("arguments");
  const bool is_known = arguments == nullptr || arguments->is_string() || arguments->is_object();
  if (!is_known) function_fields.fail("arguments", "a string that holds a JSON object", *arguments);
  function_fields.refuse_unknown();
  Json parsed = Json::object();
  if (id) parsed["id"] = *id;
  parsed["type"] = "function";
  Json value = Json::object();
  if (arguments != nullptr)
    value = arguments->is_string() ? parse_arguments(arguments->get<std::string>()) : *arguments;
  parsed["function"] = {{"name", *name}, {"arguments", std::move(value)}};
  return parsed;
}

// Null where there are none: some templates only look whether there is such a field.
Json parse_tool_calls(JsonFields& fields, const std::string& role) {
  const Json* calls = fields.any("tool_calls");
  if (calls == nullptr || *calls == Json::array()) return nullptr;
  if (!calls->is_array() || role != "assistant")
    fields.fail("tool_calls", role == "assistant" ? "a list" : "nothing but of an assistant", *calls);
  Json parsed = Json::array();
  for (const Json& call : *calls)
    parsed.push_back(
        parse_tool_call(call, fmt::format("{}[{}]", fields.path_of("tool_calls"), parsed.size())));
  return parsed;
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
  const Json* content = fields.any("content");
  Json parsed{{"role", *role}, {"content", nullptr}};
  // An answer that only called tools or only thought has none.
  if (content != nullptr || *role != "assistant")
    parsed["content"] = parse_content(content, path + ".content");
  for (const char* name : {"name", "tool_call_id", "reasoning_content"})
    if (const auto text = fields.string(name)) parsed[name] = *text;
  if (parsed.contains("reasoning_content") && *role != "assistant")
    fields.fail("reasoning_content", "nothing but of an assistant", parsed["reasoning_content"]);
  if (Json calls = parse_tool_calls(fields, *role); !calls.is_null()) parsed["tool_calls"] = std::move(calls);
  // An answer of ours or OpenAI's that is sent back as it came has these, empty.
  fields.neutral("annotations", {Json::array()});
  for (const char* name : {"function_call", "audio", "refusal"}) fields.neutral(name, {});
  fields.refuse_unknown();
  return parsed;
}

}  // namespace

Json parse_arguments(const std::string& text) {
  try {
    const Json arguments = parse_json(text);
    return arguments.is_object() ? arguments : Json(text);
  } catch (const ApiError&) {
    return text;
  }
}

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
