#include <fmt/format.h>

#include "server/anthropic_fields.h"
#include "server/api_error.h"

namespace lmdeploy {
namespace {

[[noreturn]] void fail(const std::string& path, std::string_view expected, const Json* found) {
  throw ApiError(400,
                 fmt::format("{}: expected {}, found {}", path, expected,
                             describe(found == nullptr ? Json(nullptr) : *found)),
                 {.param = path});
}

[[noreturn]] void refuse_block(const std::string& path, std::string_view known, const Json& type) {
  throw ApiError(
      400,
      fmt::format("{}.type: only blocks of type {} are supported by this server yet here, found {}", path,
                  known, describe(type)),
      {.param = path + ".type", .code = "unsupported_parameter"});
}

std::string required_string(JsonFields& fields, std::string_view name) {
  auto text = fields.string(name);
  if (!text) fields.fail(name, "a string", nullptr);
  return std::move(*text);
}

std::string parse_text_block(JsonFields& fields) {
  std::string text = required_string(fields, "text");
  fields.object("cache_control");  // a hint: prefixes are found without
  fields.neutral("citations", {Json::array()});
  fields.refuse_unknown();
  return text;
}

// What one message says: its texts, a newline between, what a template calls reasoning_content, and calls.
struct Said {
  std::string text = {};
  std::string thinking = {};
  Json calls = Json::array();
  bool has_text = false;

  void add_text(std::string_view more) {
    if (std::exchange(has_text, true)) text += '\n';
    text += more;
  }
  bool is_empty() const { return !has_text && thinking.empty() && calls.empty(); }
};

std::string parse_thinking_block(JsonFields& fields) {
  std::string thinking = required_string(fields, "thinking");
  fields.string("signature");  // nobody but its maker could tell what it says
  fields.refuse_unknown();
  return thinking;
}

Json parse_call(JsonFields& fields) {
  Json call{{"id", required_string(fields, "id")}, {"type", "function"}};
  const std::string name = required_string(fields, "name");
  const Json* input = fields.object("input");
  if (input == nullptr) fields.fail("input", "an object", nullptr);
  call["function"] = {{"name", name}, {"arguments", *input}};
  fields.object("cache_control");
  fields.neutral("caller", {Json{{"type", "direct"}}});
  fields.neutral("toolset_name", {});
  fields.refuse_unknown();
  return call;
}

std::string parse_result_text(const Json* content, const std::string& path) {
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) fail(path, "a string or a list of text blocks", content);
  Said said;
  for (std::size_t i = 0; i < content->size(); ++i) {
    JsonFields fields((*content)[i], fmt::format("{}[{}]", path, i));
    const Json type = fields.string("type").value_or("");
    if (type != "text") refuse_block(fmt::format("{}[{}]", path, i), "text", type);
    said.add_text(parse_text_block(fields));
  }
  return said.text;
}

// A message of its own. Templates have no place for is_error but the text.
Json parse_result(JsonFields& fields, const std::string& path) {
  const std::string id = required_string(fields, "tool_use_id");
  std::string text = parse_result_text(fields.any("content"), path + ".content");
  if (fields.boolean("is_error").value_or(false)) text.insert(0, "Error: ");
  fields.object("cache_control");
  fields.neutral("toolset_name", {});
  fields.refuse_unknown();
  return {{"role", "tool"}, {"tool_call_id", id}, {"content", std::move(text)}};
}

// Two turns of one role that only say something are one.
void append(const std::string& role, const Said& said, Json& messages) {
  const bool says_only = said.calls.empty() && said.thinking.empty() && role != "system";
  if (says_only && !messages.empty()) {
    Json& last = messages.back();
    if (last["role"] == role && !last.contains("tool_calls")) {
      last["content"].get_ref<std::string&>() += '\n' + said.text;
      return;
    }
  }
  Json message{{"role", role}, {"content", said.text}};
  if (!said.has_text && !said.calls.empty()) message["content"] = nullptr;
  if (!said.thinking.empty()) message["reasoning_content"] = said.thinking;
  if (!said.calls.empty()) message["tool_calls"] = said.calls;
  messages.push_back(std::move(message));
}

// A block of `role`'s message. Results stand between what is said before and behind them.
void parse_block(const Json& block, const std::string& path, const std::string& role, Said& said,
                 Json& messages) {
  JsonFields fields(block, path);
  const Json type = fields.string("type").value_or("");
  const bool is_assistant = role == "assistant";
  if (type == "text") {
    said.add_text(parse_text_block(fields));
  } else if (type == "thinking" && is_assistant) {
    said.thinking += parse_thinking_block(fields);
  } else if (type == "tool_use" && is_assistant) {
    said.calls.push_back(parse_call(fields));
  } else if (type == "tool_result" && role == "user") {
    if (!said.is_empty()) append(role, std::exchange(said, {}), messages);
    messages.push_back(parse_result(fields, path));
  } else {
    refuse_block(path,
                 is_assistant     ? "text, thinking and tool_use"
                 : role == "user" ? "text and tool_result"
                                  : "text",
                 type);
  }
}

void parse_content(const Json* content, const std::string& path, const std::string& role, Json& messages) {
  Said said;
  if (content != nullptr && content->is_string()) {
    said.add_text(content->get_ref<const std::string&>());
  } else {
    if (content == nullptr || !content->is_array()) fail(path, "a string or a list of blocks", content);
    for (std::size_t i = 0; i < content->size(); ++i)
      parse_block((*content)[i], fmt::format("{}[{}]", path, i), role, said, messages);
    if (said.is_empty() && !content->empty()) return;  // there were results only
  }
  append(role, said, messages);
}

void parse_message(const Json& message, const std::string& path, Json& messages) {
  JsonFields fields(message, path);
  const Json role = fields.string("role").value_or("");
  if (role != "user" && role != "assistant" && role != "system")
    fields.fail("role", "user, assistant or system", role);
  parse_content(fields.any("content"), path + ".content", role.get<std::string>(), messages);
  fields.refuse_unknown();
}

}  // namespace

Json parse_anthropic_messages(JsonFields& fields, std::size_t max_messages) {
  Json parsed = Json::array();
  if (const Json* system = fields.any("system")) parse_content(system, "system", "system", parsed);
  const Json* messages = fields.any("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty() || messages->size() > max_messages)
    fail("messages", fmt::format("a list of 1 to {} messages", max_messages), messages);
  for (std::size_t i = 0; i < messages->size(); ++i)
    parse_message((*messages)[i], fmt::format("messages[{}]", i), parsed);
  return parsed;
}

}  // namespace lmdeploy
