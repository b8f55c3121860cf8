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

// What one message says: its texts, a newline between, and what a template calls reasoning_content.
struct Said {
  std::string text;
  std::string thinking;
  bool has_text = false;

  void add_text(std::string_view more) {
    if (std::exchange(has_text, true)) text += '\n';
    text += more;
  }
};

std::string parse_thinking_block(JsonFields& fields) {
  std::string thinking = required_string(fields, "thinking");
  fields.string("signature");  // nobody but its maker could tell what it says
  fields.refuse_unknown();
  return thinking;
}

void parse_block(const Json& block, const std::string& path, bool is_assistant, Said& said) {
  JsonFields fields(block, path);
  const Json type = fields.string("type").value_or("");
  if (type == "text")
    said.add_text(parse_text_block(fields));
  else if (type == "thinking" && is_assistant)
    said.thinking += parse_thinking_block(fields);
  else
    refuse_block(path, is_assistant ? "text and thinking" : "text", type);
}

Said parse_content(const Json* content, const std::string& path, bool is_assistant) {
  Said said;
  if (content != nullptr && content->is_string()) {
    said.add_text(content->get_ref<const std::string&>());
    return said;
  }
  if (content == nullptr || !content->is_array()) fail(path, "a string or a list of blocks", content);
  for (std::size_t i = 0; i < content->size(); ++i)
    parse_block((*content)[i], fmt::format("{}[{}]", path, i), is_assistant, said);
  return said;
}

void append(Json& messages, const std::string& role, const Said& said) {
  if (!messages.empty() && messages.back()["role"] == role && role != "system") {
    auto& content = messages.back()["content"].get_ref<std::string&>();
    content += '\n' + said.text;
    return;
  }
  Json message{{"role", role}, {"content", said.text}};
  if (!said.thinking.empty()) message["reasoning_content"] = said.thinking;
  messages.push_back(std::move(message));
}

void parse_message(const Json& message, const std::string& path, Json& messages) {
  JsonFields fields(message, path);
  const Json role = fields.string("role").value_or("");
  if (role != "user" && role != "assistant" && role != "system")
    fields.fail("role", "user, assistant or system", role);
  const Said said = parse_content(fields.any("content"), path + ".content", role == "assistant");
  fields.refuse_unknown();
  append(messages, role.get<std::string>(), said);
}

}  // namespace

Json parse_anthropic_messages(JsonFields& fields, std::size_t max_messages) {
  Json parsed = Json::array();
  if (const Json* system = fields.any("system"))
    append(parsed, "system", parse_content(system, "system", /*is_assistant=*/false));
  const Json* messages = fields.any("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty() || messages->size() > max_messages)
    fail("messages", fmt::format("a list of 1 to {} messages", max_messages), messages);
  for (std::size_t i = 0; i < messages->size(); ++i)
    parse_message((*messages)[i], fmt::format("messages[{}]", i), parsed);
  return parsed;
}

}  // namespace lmdeploy
