#include "text/tool_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lmdeploy {
namespace {

using Json = nlohmann::ordered_json;

// As Python's json.dumps(value, ensure_ascii=False) writes it: what models have been trained on.
std::string python_json(const Json& value) {
  if (!value.is_structured()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string text(1, value.is_array() ? '[' : '{');
  for (const auto& [key, element] : value.items()) {
    if (text.size() > 1) text += ", ";
    if (value.is_object()) text += python_json(key) + ": ";
    text += python_json(element);
  }
  return text + (value.is_array() ? ']' : '}');
}

bool has_calls(const Json& message) {
  return message.contains("tool_calls");
}

// A result, as OpenAI's tool and as InternLM's environment.
bool is_result(const Json& message) {
  const auto& role = message.at("role");
  return role == "tool" || (role == "environment" && message.value("name", "") == "plugin");
}

std::string text_of(const Json& message) {
  const auto& content = message.at("content");
  return content.is_string() ? content.get<std::string>() : std::string{};
}

// Private characters that stand for special tokens until the template has run: what it gets of a conversation
// becomes no special token.
struct StandIns {
  std::string plugin, action_start, action_end;
};

std::string utf8(char32_t c) {  // U+0800 .. U+FFFF
  return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
          static_cast<char>(0x80 | (c & 0x3F))};
}

StandIns choose_stand_ins(const ChatInput& input) {
  const std::string used = input.messages.dump(-1, ' ', false, Json::error_handler_t::replace) +
                           input.tools.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::vector<std::string> unused;
  for (char32_t c = 0xE000; c < 0xF900 && unused.size() < 3; ++c)
    if (used.find(utf8(c)) == used.npos) unused.push_back(utf8(c));
  if (unused.size() < 3) throw Error("the messages use up the private characters of Unicode");
  return {unused[0], unused[1], unused[2]};
}

std::size_t shifted(std::size_t position, const std::vector<std::pair<std::size_t, std::size_t>>& shifts) {
  const auto behind =
      std::ranges::upper_bound(shifts, position, {}, &std::pair<std::size_t, std::size_t>::first);
  return behind == shifts.begin() ? position : position + std::prev(behind)->second;
}

RenderedPrompt with_tokens(const RenderedPrompt& rendered, const StandIns& stand_ins,
                           const ToolFormat& format) {
  const std::array<std::pair<const std::string&, std::string_view>, 3> tokens{
      {{stand_ins.plugin, format.header},
       {stand_ins.action_start, format.begin},
       {stand_ins.action_end, format.end}}};
  RenderedPrompt prompt;
  std::vector<std::pair<std::size_t, std::size_t>> shifts;  // from a byte on: how far it moves
  std::string_view rest = rendered.text;
  while (!rest.empty()) {
    const auto found =
        std::ranges::find_if(tokens, [&](const auto& token) { return rest.starts_with(token.first); });
    if (found == tokens.end()) {
      prompt.text += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    prompt.text += found->second;
    rest.remove_prefix(found->first.size());
    const std::size_t begin = rendered.text.size() - rest.size();
    shifts.emplace_back(begin, prompt.text.size() - begin);
  }
  for (const auto& [begin, end] : rendered.plain)
    prompt.plain.push_back({shifted(begin, shifts), shifted(end, shifts)});
  return prompt;
}

// InternLM2's form, as LMDeploy writes it: the functions in a turn of the system behind its first.
Json plugin_messages(const ChatInput& input, const StandIns& stand_ins) {
  Json messages = Json::array();
  for (Json message : input.messages) {
    std::string content = text_of(message);
    if (has_calls(message))
      for (const auto& call : message["tool_calls"]) {
        const Json object{{"name", call["function"]["name"]}, {"parameters", call["function"]["arguments"]}};
        content += fmt::format("{}{}\n{}{}", stand_ins.action_start, stand_ins.plugin, python_json(object),
                               stand_ins.action_end);
      }
    std::string role = is_result(message) ? "environment" : message["role"].get<std::string>();
    if (is_result(message) || message.value("name", "") == "plugin") role += " name=" + stand_ins.plugin;
    messages.push_back({{"role", role}, {"content", content}});
  }
  if (!input.tools.is_array()) return messages;
  Json functions = Json::array();
  for (const auto& tool : input.tools) functions.push_back(tool["function"]);
  const bool has_system = messages[0]["role"] == "system";
  messages.insert(messages.begin() + (has_system ? 1 : 0),
                  Json{{"role", "system name=" + stand_ins.plugin}, {"content", python_json(functions)}});
  return messages;
}

RenderedPrompt render_plugin(const ChatTemplate& chat_template, const Dialect& dialect, ChatInput input) {
  const StandIns stand_ins = choose_stand_ins(input);
  input.messages = plugin_messages(input, stand_ins);
  input.tools = nullptr;
  return with_tokens(chat_template.render(input), stand_ins, *dialect.tool_format);
}

std::string tools_text(const ToolFormat& format, const Json& tools) {
  const CallText call = call_text(format, "NAME");
  std::string text =
      "You may call functions to help the user. These are the functions, each as a JSON object:\n<tools>\n";
  for (const auto& tool : tools) text += python_json(tool["function"]) + "\n";
  return text + fmt::format(
                    "</tools>\nTo call a function, answer in exactly this form, with the arguments as a "
                    "JSON object that fits its parameters:\n{}{{ARGUMENTS}}{}",
                    call.before, call.behind);
}

std::string calls_text(const ToolFormat& format, const Json& calls) {
  std::string text;
  for (const auto& call : calls) {
    const Json& function = call["function"];
    const CallText around = call_text(format, function["name"].get<std::string>());
    if (!text.empty()) text += format.shape == ToolFormat::Shape::bare ? "; " : "\n";
    text += around.before + python_json(function["arguments"]) + around.behind;
  }
  return text;
}

// Into the first message, where that is the system's.
void add_system_text(const std::string& text, Json& messages) {
  const bool has_system = messages[0]["role"] == "system" || messages[0]["role"] == "developer";
  if (!has_system) {
    messages.insert(messages.begin(), Json{{"role", "system"}, {"content", text}});
    return;
  }
  const std::string own = text_of(messages[0]);
  messages[0]["content"] = own.empty() ? text : own + "\n\n" + text;
}

// For a template that knows only texts of system, user and assistant.
Json system_messages(const ToolFormat& format, const ChatInput& input) {
  Json messages = Json::array();
  bool after_result = false;
  for (Json message : input.messages) {
    const bool is_one = is_result(message);
    message["content"] = text_of(message);
    if (is_one) {
      const std::string text = fmt::format("<tool_response>\n{}\n</tool_response>", text_of(message));
      if (after_result)
        messages.back()["content"] = text_of(messages.back()) + "\n" + text;
      else
        messages.push_back({{"role", "user"}, {"content", text}});
    } else if (has_calls(message)) {
      const std::string own = text_of(message);
      const std::string calls = calls_text(format, message["tool_calls"]);
      messages.push_back({{"role", "assistant"}, {"content", own.empty() ? calls : own + "\n" + calls}});
    } else {
      messages.push_back(std::move(message));
    }
    after_result = is_one;
  }
  if (input.tools.is_array()) add_system_text(tools_text(format, input.tools), messages);
  return messages;
}

// A template with roles of its own for tools: OpenAI's, but for InternLM's.
Json templated_messages(const Dialect& dialect, const ChatInput& input) {
  const bool knows_environment = dialect.tool_format == &get_tool_format("internlm");
  Json messages = input.messages;
  for (Json& message : messages) {
    if (is_result(message) && !knows_environment) message["role"] = "tool";
    if (!has_calls(message)) message["content"] = text_of(message);
  }
  return messages;
}

}  // namespace

bool speaks_of_tools(const ChatInput& input) {
  return input.tools.is_array() || std::ranges::any_of(input.messages, [](const Json& message) {
           return has_calls(message) || is_result(message);
         });
}

RenderedPrompt render_chat(const ChatTemplate& chat_template, const Dialect& dialect,
                           const ChatInput& input) {
  ChatInput chosen = input;
  switch (dialect.tool_prompt) {
    case ToolPrompt::plugin:
      return render_plugin(chat_template, dialect, std::move(chosen));
    case ToolPrompt::system:
      chosen.messages = system_messages(*dialect.tool_format, input);
      chosen.tools = nullptr;
      break;
    case ToolPrompt::unknown:
      if (speaks_of_tools(input))
        throw Error("this model's chat template never reads `tools`, and its vocabulary has no <|plugin|>",
                    "Leave tools and their calls and results out, or start the server with "
                    "--tool-call-parser NAME, which describes them in a system message.");
      [[fallthrough]];
    case ToolPrompt::templated:
      chosen.messages = templated_messages(dialect, input);
      break;
  }
  return chat_template.render(chosen);
}

}  // namespace lmdeploy
