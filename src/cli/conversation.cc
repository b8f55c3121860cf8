#include "cli/conversation.h"

#include "base/error.h"
#include "checkpoint/output_file.h"

namespace lmdeploy::cli {
namespace {

using Json = nlohmann::ordered_json;

Json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

std::string as_json(const Json& messages) {
  return Json{{"messages", messages}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

const char* heading(const std::string& role) {
  if (role == "system") return "System";
  return role == "user" ? "User" : "Assistant";
}

std::string as_markdown(const Json& messages) {
  std::string text;
  for (const Json& message : messages)
    text += fmt::format("{}## {}\n\n{}\n", text.empty() ? "" : "\n", heading(message["role"]),
                        message["content"].get_ref<const std::string&>());
  return text;
}

}  // namespace

std::optional<ChatTurn> Conversation::take_last() {
  if (turns_.empty()) return std::nullopt;
  ChatTurn last = std::move(turns_.back());
  turns_.pop_back();
  return last;
}

Json Conversation::messages() const {
  Json messages = Json::array();
  if (!system_message_.empty()) messages.push_back(message("system", system_message_));
  for (const ChatTurn& turn : turns_) {
    messages.push_back(message("user", turn.question));
    messages.push_back(message("assistant", turn.answer));
  }
  return messages;
}

Json Conversation::messages_with(const std::string& question) const {
  Json messages = this->messages();
  messages.push_back(message("user", question));
  return messages;
}

void save_messages(const Json& messages, const std::filesystem::path& file) {
  const std::string suffix = file.extension().string();
  if (suffix != ".json" && suffix != ".md")
    throw Error(fmt::format("cannot tell from its name in which form to write {}", file.string()),
                "Name a FILE.json (OpenAI's messages) or a FILE.md (Markdown).");
  write_text_file(file, suffix == ".json" ? as_json(messages) : as_markdown(messages));
}

}  // namespace lmdeploy::cli
