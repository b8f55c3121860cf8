#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/api_error.h"
#include "server/responses_fields.h"

namespace lmdeploy {
namespace {

constexpr std::array<std::string_view, 4> kRoles{"user", "assistant", "system", "developer"};

[[noreturn]] void refuse_type(const std::string& path, std::string_view known, const Json& type) {
  throw ApiError(
      400,
      fmt::format("{}.type: only {} are supported by this server yet, found {}", path, known, describe(type)),
      {.param = path + ".type", .code = "unsupported_parameter"});
}

// An item of an answer that is sent back as it came has these.
void read_labels(JsonFields& fields) {
  for (const char* name : {"id", "status"}) fields.string(name);
}

std::string parse_part(const Json& part, const std::string& path, bool is_assistant) {
  JsonFields fields(part, path);
  const Json type = fields.string("type").value_or("");
  if (type != "input_text" && !(is_assistant && type == "output_text"))
    refuse_type(path, is_assistant ? "parts of type output_text and input_text" : "parts of type input_text",
                type);
  auto text = fields.string("text");
  if (!text) fields.fail("text", "a string", nullptr);
  if (is_assistant)
    for (const char* name : {"annotations", "logprobs"}) fields.any(name);  // of an answer of ours
  fields.refuse_unknown();
  return std::move(*text);
}

std::string parse_content(const Json* content, const std::string& path, bool is_assistant) {
  if (content != nullptr && content->is_string()) return content->get<std::string>();
  if (content == nullptr || !content->is_array())
    throw ApiError(400,
                   fmt::format("{}: expected a string or a list of parts, found {}", path,
                               describe(content == nullptr ? Json(nullptr) : *content)),
                   {.param = path});
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) {
    if (i > 0) text += '\n';
    text += parse_part((*content)[i], fmt::format("{}[{}]", path, i), is_assistant);
  }
  return text;
}

Json parse_message(JsonFields& fields, const std::string& path) {
  const auto role = fields.string("role");
  if (!role || std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end())
    fields.fail("role", "user, assistant, system or developer", role ? Json(*role) : Json(nullptr));
  read_labels(fields);
  fields.neutral("phase", {"final_answer"});
  return {{"role", *role},
          {"content", parse_content(fields.any("content"), path + ".content", *role == "assistant")}};
}

// What the model thought before the answer that follows.
std::string parse_reasoning(JsonFields& fields, const std::string& path) {
  read_labels(fields);
  fields.neutral("summary", {Json::array()});
  fields.neutral("encrypted_content", {});
  const Json* content = fields.any("content");
  if (content == nullptr) return {};
  if (!content->is_array()) fields.fail("content", "a list of parts of type reasoning_text", *content);
  std::string thoughts;
  for (std::size_t i = 0; i < content->size(); ++i) {
    JsonFields part((*content)[i], fmt::format("{}.content[{}]", path, i));
    const auto type = part.string("type");
    if (type != "reasoning_text") part.fail("type", "reasoning_text", type ? Json(*type) : Json(nullptr));
    thoughts += part.string("text").value_or("");
    part.refuse_unknown();
  }
  return thoughts;
}

// Appends an item's message; `thoughts` are those of items before it that wait for theirs.
void parse_item(const Json& item, const std::string& path, Json& messages, std::string& thoughts) {
  JsonFields fields(item, path);
  const Json type = fields.string("type").value_or("message");
  if (type == "reasoning") {
    thoughts += parse_reasoning(fields, path);
  } else if (type == "message") {
    Json message = parse_message(fields, path);
    if (message["role"] == "assistant" && !thoughts.empty()) message["reasoning_content"] = thoughts;
    thoughts.clear();
    messages.push_back(std::move(message));
  } else {
    refuse_type(path, "items of type message and reasoning", type);
  }
  fields.refuse_unknown();
}

}  // namespace

Json parse_response_input(JsonFields& fields, std::size_t max_items) {
  const std::string expected = fmt::format("a string or a list of 1 to {} items", max_items);
  const Json* input = fields.any("input");
  if (input == nullptr) fields.fail("input", expected, nullptr);
  if (input->is_string()) return Json::array({Json{{"role", "user"}, {"content", *input}}});
  if (!input->is_array() || input->empty() || input->size() > max_items)
    fields.fail("input", expected, *input);
  Json messages = Json::array();
  std::string thoughts;
  for (std::size_t i = 0; i < input->size(); ++i)
    parse_item((*input)[i], fmt::format("input[{}]", i), messages, thoughts);
  return messages;
}

}  // namespace lmdeploy
