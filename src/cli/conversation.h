#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace lmdeploy::cli {

// A question with its answer.
struct ChatTurn {
  std::string question, answer;
};

// What was said so far, and what the model is told to be. Texts are UTF-8.
class Conversation {
 public:
  explicit Conversation(std::string system_message) : system_message_(std::move(system_message)) {}

  const std::string& system_message() const noexcept { return system_message_; }  // empty: none
  void set_system_message(std::string text) { system_message_ = std::move(text); }

  bool empty() const noexcept { return turns_.empty(); }
  void add(ChatTurn turn) { turns_.push_back(std::move(turn)); }
  std::optional<ChatTurn> take_last();  // empty where there is none
  void forget() { turns_.clear(); }     // all but the system message

  // OpenAI's: [{"role", "content"}], the system message first.
  nlohmann::ordered_json messages() const;
  nlohmann::ordered_json messages_with(const std::string& question) const;

 private:
  std::string system_message_;
  std::vector<ChatTurn> turns_;
};

// Writes messages as FILE.json, {"messages": [...]}, or FILE.md, a heading above each; replaces a file that
// is there, never leaves half of one. Throws Error: another suffix, a file that cannot be written.
void save_messages(const nlohmann::ordered_json& messages, const std::filesystem::path& file);

}  // namespace lmdeploy::cli
