#include "cli/chat_command.h"

#include <fmt/core.h>

namespace lmdeploy::cli {
namespace {

struct Row {
  ChatCommand::Name name;
  std::string_view word;
  std::string_view argument;  // as the help shows it
  std::string_view help;
};

using Name = ChatCommand::Name;
constexpr Row kRows[] = {
    {Name::help, "/help", "", "this list"},
    {Name::regen, "/regen", "", "answer the last message again"},
    {Name::system, "/system", "[TEXT]", "set the system prompt; without TEXT show it, with \"\" remove it"},
    {Name::save, "/save", "FILE", "write the conversation to FILE.json (OpenAI's messages) or FILE.md"},
};
constexpr Row kOtherRows[] = {
    {Name::unknown, "end", "", "forget the conversation, keep the system prompt"},
    {Name::unknown, "exit", "", "leave, as Ctrl-D does"},
};

constexpr std::string_view kBlank = " \t\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string help_line(const Row& row) {
  return fmt::format("  {:<15} {}\n", fmt::format("{} {}", row.word, row.argument), row.help);
}

}  // namespace

std::optional<ChatCommand> parse_chat_command(std::string_view text) {
  if (!text.starts_with('/')) return std::nullopt;
  const std::string_view word = text.substr(0, text.find_first_of(kBlank));
  const bool has_lines = text.find('\n') != std::string_view::npos;
  for (const Row& row : kRows)
    if (row.word == word && (!has_lines || row.name == Name::system))
      return ChatCommand{row.name, std::string(trimmed(text.substr(word.size())))};
  if (has_lines) return std::nullopt;
  return ChatCommand{Name::unknown, std::string(word)};
}

std::string chat_help() {
  std::string text = "Enter twice sends a message; these act at once:\n";
  for (const Row& row : kRows) text += help_line(row);
  for (const Row& row : kOtherRows) text += help_line(row);
  text +=
      "A message that begins with a slash: put a space before the slash. Ctrl-C stops an answer. In a "
      "terminal "
      "the arrows\nup and down bring earlier messages back, Ctrl-R searches them, and pasted text may hold "
      "empty lines.";
  return text;
}

std::string chat_command_list() {
  std::string list;
  for (const Row& row : kRows) list += fmt::format("{}{}", list.empty() ? "" : ", ", row.word);
  return list;
}

}  // namespace lmdeploy::cli
