#include "server/tool_grammar.h"

#include <fmt/format.h>

namespace lmdeploy {
namespace {

// How the model may write a call; it chooses.
std::vector<CallText> spellings(const ToolFormat& format, const Tokenizer& tokenizer,
                                const std::string& name) {
  std::vector<CallText> spellings{call_text(format, name)};
  if (format.shape == ToolFormat::Shape::bare && tokenizer.token_to_id(format.begin))
    spellings.push_back(
        {fmt::format("{}{}", format.begin, spellings.front().before), spellings.front().behind});
  if (format.shape != ToolFormat::Shape::list) return spellings;
  const std::string_view behind_begin =
      std::string_view(spellings.front().before).substr(format.begin.size());
  spellings.push_back({fmt::format("{} {}", format.begin, behind_begin), spellings.front().behind});
  const bool has_args = tokenizer.token_to_id("[ARGS]").has_value();  // Mistral's since late 2024
  spellings.push_back({fmt::format("{}{}{}", format.begin, name, has_args ? "[ARGS]" : ""), ""});
  return spellings;
}

}  // namespace

StructuralTags tool_tags(const ToolFormat& format, const Tokenizer& tokenizer, const ToolUse& use) {
  StructuralTags tags;
  const bool is_bare = format.shape == ToolFormat::Shape::bare;
  if (is_bare) tags.triggers.emplace_back(R"({"name": ")");
  if (!is_bare || tokenizer.token_to_id(format.begin))
    tags.triggers.push_back(fmt::format("{}{}", format.begin, format.header));
  tags.at_least_one = use.must_call();
  tags.stop_after_first = !use.parallel || use.choice == ToolUse::Choice::named;
  for (const ToolDefinition& tool : use.tools) {
    if (use.choice == ToolUse::Choice::named && tool.name != use.named) continue;
    for (const CallText& around : spellings(format, tokenizer, tool.name))
      tags.tags.push_back({.begin = around.before, .schema = tool.parameters.dump(), .end = around.behind});
  }
  return tags;
}

}  // namespace lmdeploy
