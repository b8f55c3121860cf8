#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lmdeploy::cli {

// The messages typed in earlier chats: a file that only its owner can read, one JSON string per line, the
// oldest first, bounded. Where it cannot be written, or is something other than a file (a link to /dev/null
// keeps it out), there is none and nobody is told: a chat works without.
class ChatHistory {
 public:
  static constexpr std::size_t kMaxMessages = 1000;
  static constexpr std::size_t kMaxMessageBytes = 64 << 10;  // a longer one is not kept
  static constexpr std::size_t kMaxFileBytes = 1 << 20;

  explicit ChatHistory(std::optional<std::filesystem::path> file) : file_(std::move(file)) {}

  std::vector<std::string> load() const;
  // Reads the file again before it is written, so that chats side by side keep what each adds.
  void add(const std::string& message) const;

 private:
  std::optional<std::filesystem::path> file_;
};

}  // namespace lmdeploy::cli
