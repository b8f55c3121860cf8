#include "text/dialect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr std::array<ReasoningFormat, 2> kReasoningFormats{{{"qwen3", false}, {"deepseek-r1", true}}};

// LMDeploy's names.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kReasoningAliases{
    {{"default", "qwen3"}, {"intern-s1", "qwen3"}, {"qwen-qwq", "deepseek-r1"}}};

template <typename Formats>
Error unknown_parser(std::string_view option, const std::string& name, const Formats& formats) {
  std::vector<std::string_view> names;
  for (const auto& format : formats) names.push_back(format.name);
  return Error(fmt::format("{} {}: there is no parser of that name", option, name),
               fmt::format("Expected {} or none; without the option the model's own chat template tells.",
                           fmt::join(names, ", ")));
}

const ReasoningFormat* find_reasoning_format(std::string name) {
  std::ranges::replace(name, '_', '-');  // vLLM's spelling
  for (const auto& [alias, format] : kReasoningAliases)
    if (alias == name) name = format;
  const auto found = std::ranges::find(kReasoningFormats, name, &ReasoningFormat::name);
  return found == kReasoningFormats.end() ? nullptr : &*found;
}

const ReasoningFormat* find_reasoning(const ChatTemplate* chat_template, const std::string& wanted) {
  if (!wanted.empty()) return wanted == "none" ? nullptr : find_reasoning_format(wanted);
  const bool thinks = chat_template != nullptr && chat_template->mentions(kThinkEnd);
  return thinks ? &kReasoningFormats[0] : nullptr;
}

bool has_plugin_tokens(const Tokenizer& tokenizer) {
  const auto has = [&](std::string_view token) { return tokenizer.token_to_id(token).has_value(); };
  return has("<|plugin|>") && has("<|action_start|>") && has("<|action_end|>");
}

// SmolLM2's own template says whose it is, and nothing of tools; its makers showed calls in hermes' form.
bool is_smollm(const ChatTemplate& chat_template) {
  return chat_template.mentions("named SmolLM, trained by Hugging Face");
}

// The form in which a template writes the calls of earlier answers; null: in none that is known.
const ToolFormat* format_of(const ChatTemplate& chat_template, const Tokenizer& tokenizer, bool reads_tools) {
  if (has_plugin_tokens(tokenizer) && (!reads_tools || chat_template.mentions("<|action_start|>")))
    return &get_tool_format("internlm");
  if (chat_template.mentions("[TOOL_CALLS]")) return &get_tool_format("mistral");
  // Others write XML in between: <function=add>.
  if (chat_template.mentions("<tool_call>") && !chat_template.mentions("<function="))
    return &get_tool_format("hermes");
  if (reads_tools && (chat_template.mentions("<|python_tag|>") || chat_template.mentions("ipython")))
    return &get_tool_format("llama3_json");
  return is_smollm(chat_template) ? &get_tool_format("hermes") : nullptr;
}

void find_tools(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const std::string& wanted,
                Dialect& dialect) {
  const bool reads_tools = chat_template.reads_tools();
  dialect.calls_are_off = wanted == "none";
  if (wanted.empty())
    dialect.tool_format = format_of(chat_template, tokenizer, reads_tools);
  else if (wanted != "none")
    dialect.tool_format = find_tool_format(wanted);
  if (reads_tools)
    dialect.tool_prompt = ToolPrompt::templated;
  else if (dialect.tool_format == &get_tool_format("internlm") && has_plugin_tokens(tokenizer))
    dialect.tool_prompt = ToolPrompt::plugin;
  else if (dialect.tool_format != nullptr && (!wanted.empty() || is_smollm(chat_template)))
    dialect.tool_prompt = ToolPrompt::system;
  if (dialect.tool_prompt == ToolPrompt::plugin)
    dialect.call_end_id = tokenizer.token_to_id(dialect.tool_format->end);
}

SpecialMarkers special_markers(const Tokenizer& tokenizer, std::initializer_list<std::string_view> markers) {
  SpecialMarkers special;
  for (const std::string_view marker : markers) {
    const auto id = marker.empty() ? std::nullopt : tokenizer.token_to_id(marker);
    if (!id || !tokenizer.is_special(*id)) continue;
    special.texts.emplace_back(marker);
    special.ids.push_back(*id);
  }
  return special;
}

}  // namespace

void check_dialect_names(const DialectNames& names) {
  const auto is_named = [](const std::string& name) { return !name.empty() && name != "none"; };
  if (is_named(names.tool_call_parser) && find_tool_format(names.tool_call_parser) == nullptr)
    throw unknown_parser("--tool-call-parser", names.tool_call_parser, tool_formats());
  if (is_named(names.reasoning_parser) && find_reasoning_format(names.reasoning_parser) == nullptr)
    throw unknown_parser("--reasoning-parser", names.reasoning_parser, kReasoningFormats);
}

Dialect find_dialect(const ChatTemplate* chat_template, const Tokenizer& tokenizer,
                     const DialectNames& names) {
  check_dialect_names(names);
  Dialect dialect;
  dialect.reasoning = find_reasoning(chat_template, names.reasoning_parser);
  if (chat_template != nullptr) find_tools(*chat_template, tokenizer, names.tool_call_parser, dialect);
  if (const ToolFormat* format = dialect.tool_format) {
    const bool is_list = format->shape == ToolFormat::Shape::list;
    dialect.tool_markers = special_markers(tokenizer, {format->begin, format->header, format->end,
                                                       is_list ? "[ARGS]" : "", is_list ? "[CALL_ID]" : ""});
  }
  if (dialect.reasoning != nullptr)
    dialect.reasoning_markers = special_markers(tokenizer, {kThinkBegin, kThinkEnd});
  return dialect;
}

std::string describe(const Dialect& dialect) {
  std::vector<std::string> parts;
  if (dialect.tool_format != nullptr && dialect.tool_prompt != ToolPrompt::unknown)
    parts.push_back(fmt::format("tool calls ({})", dialect.tool_format->name));
  if (dialect.reasoning != nullptr) parts.push_back(fmt::format("reasoning ({})", dialect.reasoning->name));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace lmdeploy
