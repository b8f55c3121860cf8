#include "text/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "text/rust_bridge.h"
#include "text/tokenizer_config.h"

namespace lmdeploy {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Sources {
  std::string usual;
  std::optional<std::string> with_tools;
};

std::optional<std::string> named(const Json& list, std::string_view name) {
  for (const auto& entry : list) {
    if (entry.is_object() && entry.value("name", "") == name && entry.contains("template") &&
        entry["template"].is_string())
      return entry["template"].get<std::string>();
  }
  return std::nullopt;
}

std::optional<Sources> from_json(const Json& chat_template, const fs::path& folder) {
  if (chat_template.is_null()) return std::nullopt;
  if (chat_template.is_string()) return Sources{chat_template.get<std::string>(), std::nullopt};
  auto usual = chat_template.is_array() ? named(chat_template, "default") : std::nullopt;
  if (!usual)
    throw Error(fmt::format("{}: chat_template is neither a string nor a list with one named \"default\"",
                            folder.string()),
                "Put the template that you want into chat_template.jinja in that folder.");
  return Sources{*usual, named(chat_template, "tool_use")};
}

// chat_template.jinja wins, as in transformers; chat_template.json is an older place for it.
std::optional<Sources> find_sources(const fs::path& folder, const TokenizerConfig& config) {
  const fs::path jinja = folder / "chat_template.jinja";
  const fs::path with_tools = folder / "additional_chat_templates" / "tool_use.jinja";
  if (fs::exists(jinja)) {
    Sources sources{read_text(jinja), std::nullopt};
    if (fs::exists(with_tools)) sources.with_tools = read_text(with_tools);
    return sources;
  }
  if (auto sources = from_json(config.chat_template, folder)) return sources;
  const Json older = read_json_object(folder / "chat_template.json");
  return older.contains("chat_template") ? from_json(older["chat_template"], folder) : std::nullopt;
}

rust::Template compile(const std::string& source, const Json& variables,
                       const std::vector<std::string>& special_tokens) {
  try {
    return rust::Template(
        dump({{"source", source}, {"variables", variables}, {"special_tokens", special_tokens}}));
  } catch (const Error& error) {
    throw Error(fmt::format("the model's chat template cannot be read: {}", error.problem()),
                "Put a template that works into chat_template.jinja in the model's folder.");
  }
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

// Leaves out what the template writes behind the last message. Some templates trim what they are given.
void end_with(RenderedPrompt& prompt, std::string_view content) {
  std::size_t begin = prompt.text.rfind(content);
  if (begin == std::string::npos) begin = prompt.text.rfind(content = trimmed(content));
  if (begin == std::string::npos || content.empty())
    throw Error(
        "continue_final_message: the model's chat template does not render the last message as it is");
  const std::size_t end = begin + content.size();
  prompt.text.resize(end);
  while (!prompt.plain.empty() && prompt.plain.back().begin >= end) prompt.plain.pop_back();
  if (!prompt.plain.empty()) prompt.plain.back().end = std::min(prompt.plain.back().end, end);
}

}  // namespace

struct ChatTemplate::Impl {
  std::string source;  // of all templates
  rust::Template usual;
  std::optional<rust::Template> with_tools;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::~ChatTemplate() = default;

std::unique_ptr<ChatTemplate> ChatTemplate::load(const fs::path& folder, const Tokenizer& tokenizer) {
  const auto config = TokenizerConfig::load(folder);
  const auto sources = find_sources(folder, config);
  if (!sources) return nullptr;
  Json variables = Json::object();
  for (const auto& [name, text] : config.special_tokens) variables[name] = text;
  auto special_tokens = tokenizer.special_tokens();
  for (const auto& [name, text] : config.special_tokens) special_tokens.push_back(text);
  Impl impl{sources->usual + sources->with_tools.value_or(""),
            compile(sources->usual, variables, special_tokens), std::nullopt};
  if (sources->with_tools) impl.with_tools = compile(*sources->with_tools, variables, special_tokens);
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::make_unique<Impl>(std::move(impl))));
}

std::unique_ptr<ChatTemplate> ChatTemplate::from_source(const std::string& source,
                                                        const std::string& bos_token,
                                                        const std::string& eos_token,
                                                        const std::vector<std::string>& special_tokens) {
  auto all = special_tokens;
  all.push_back(bos_token);
  all.push_back(eos_token);
  Impl impl{source, compile(source, {{"bos_token", bos_token}, {"eos_token", eos_token}}, all), std::nullopt};
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::make_unique<Impl>(std::move(impl))));
}

RenderedPrompt ChatTemplate::render(const ChatInput& input) const {
  Json variables = {{"messages", input.messages},
                    {"tools", input.tools},
                    {"documents", nullptr},
                    {"add_generation_prompt", input.add_generation_prompt}};
  for (const auto& [name, value] : input.template_kwargs.items()) variables[name] = value;
  const bool tools_given = !input.tools.is_null() && impl_->with_tools.has_value();
  const auto& chosen = tools_given ? *impl_->with_tools : impl_->usual;
  auto rendered = chosen.render(dump(variables));
  RenderedPrompt prompt{std::move(rendered.text), {}};
  for (const auto& [begin, end] : rendered.plain) prompt.plain.push_back({begin, end});
  if (input.continue_final_message)
    end_with(prompt, input.messages.back()["content"].get_ref<const std::string&>());
  return prompt;
}

bool ChatTemplate::mentions(std::string_view text) const {
  return impl_->source.find(text) != std::string::npos;
}

bool ChatTemplate::reads_tools() const {
  if (impl_->with_tools) return true;
  ChatInput input;
  input.messages.push_back({{"role", "user"}, {"content", "x"}});
  try {
    const std::string without = render(input).text;
    const Json function = {{"name", "f"}, {"description", "d"}, {"parameters", {{"type", "object"}}}};
    input.tools = Json::array({Json{{"type", "function"}, {"function", function}}});
    return render(input).text != without;
  } catch (const Error&) {  // it wants another conversation
    return mentions("tools");
  }
}

}  // namespace lmdeploy
