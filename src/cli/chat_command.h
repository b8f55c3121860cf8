#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace lmdeploy::cli {

// A line of the chat that is for the program and not for the model.
struct ChatCommand {
  enum class Name { help, regen, system, save, unknown };
  Name name = Name::unknown;
  std::string argument;  // without the white space around it; of an unknown command its name
};

// Empty where `text` is a message. A command begins with its slash. Text of several lines is a message, such
// as a pasted log whose first line is a path, but for the command that takes several lines, /system.
std::optional<ChatCommand> parse_chat_command(std::string_view text);

// What /help says; several lines, none empty.
std::string chat_help();

// "/help, /regen, ...", for the message about an unknown one.
std::string chat_command_list();

}  // namespace lmdeploy::cli
