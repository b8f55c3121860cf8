#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/api_error.h"
#include "server/openai_fields.h"
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

std::string required_string(JsonFields& fields, std::string_view name) {
  auto text = fields.string(name);
  if (!text) fields.fail(name, "a string", nullptr);
  return std::move(*text);
}

Json parse_call(JsonFields& fields) {
  read_labels(fields);
  Json call{{"id", required_string(fields, "call_id")}, {"type", "function"}};
  const std::string name = required_string(fields, "name");
  call["function"] = {{"name", name}, {"arguments", parse_arguments(required_string(fields, "arguments"))}};
  for (const char* unused : {"caller", "namespace", "async"}) fields.neutral(unused, {});
  return call;
}

Json parse_result(JsonFields& fields, const std::string& path) {
  read_labels(fields);
  const std::string id = required_string(fields, "call_id");
  for (const char* unused : {"caller", "namespace"}) fields.neutral(unused, {});
  fields.string("name");
  return {{"role", "tool"},
          {"tool_call_id", id},
          {"content", parse_content(fields.any("output"), path + ".output", /*is_assistant=*/false)}};
}

// The messages of items so far.
class Conversation {
 public:
  void add(const Json& item, const std::string& path) {
    JsonFields fields(item, path);
    const Json type = fields.string("type").value_or("message");
    if (type == "message")
      add_message(parse_message(fields, path));
    else if (type == "reasoning")
      thoughts_ += parse_reasoning(fields, path);
    else if (type == "function_call")
      add_call(parse_call(fields));
    else if (type == "function_call_output")
      add_message(parse_result(fields, path));
    else
      refuse_type(path, "items of type message, reasoning, function_call and function_call_output", type);
    fields.refuse_unknown();
  }

  Json take() { return std::move(messages_); }

 private:
  void add_message(Json message) {
    if (message["role"] == "assistant" && !thoughts_.empty()) message["reasoning_content"] = thoughts_;
    thoughts_.clear();
    messages_.push_back(std::move(message));
  }

  void add_call(Json call) {
    const bool goes_on = !messages_.empty() && messages_.back()["role"] == "assistant" && thoughts_.empty();
    if (!goes_on) add_message({{"role", "assistant"}, {"content", nullptr}});
    messages_.back()["tool_calls"].push_back(std::move(call));
  }

  Json messages_ = Json::array();
  std::string thoughts_;  // that wait for the answer they led to
};

}  // namespace

Json parse_response_input(JsonFields& fields, std::size_t max_items) {
  const std::string expected = fmt::format("a string or a list of 1 to {} items", max_items);
  const Json* input = fields.any("input");
  if (input == nullptr) fields.fail("input", expected, nullptr);
  if (input->is_string()) return Json::array({Json{{"role", "user"}, {"content", *input}}});
  if (!input->is_array() || input->empty() || input->size() > max_items)
    fields.fail("input", expected, *input);
  Conversation conversation;
  for (std::size_t i = 0; i < input->size(); ++i) conversation.add((*input)[i], fmt::format("input[{}]", i));
  Json messages = conversation.take();
  if (messages.empty()) fields.fail("input", "something besides reasoning", *input);
  return messages;
}

}  // namespace lmdeploy
