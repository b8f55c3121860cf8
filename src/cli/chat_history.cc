#include "cli/chat_history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Of a file that somebody has made longer than ours ever is, nothing. Never waits, as a pipe would make it.
std::string read_file(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text(ChatHistory::kMaxFileBytes + 1, '\0');
  struct stat status{};
  const bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  std::size_t size = 0;
  for (ssize_t count = 1; is_file && count > 0 && size < text.size(); size += static_cast<std::size_t>(count))
    count = std::max<ssize_t>(::read(fd, text.data() + size, text.size() - size), 0);
  ::close(fd);
  text.resize(size > ChatHistory::kMaxFileBytes ? 0 : size);
  return text;
}

std::string as_line(const std::string& message) {
  return Json(message).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The newest lines that fit.
std::string as_text(const std::vector<std::string>& messages) {
  std::string text;
  const std::size_t first = messages.size() - std::min(messages.size(), ChatHistory::kMaxMessages);
  for (std::size_t i = messages.size(); i-- > first;) {
    std::string line = as_line(messages[i]);
    if (text.size() + line.size() > ChatHistory::kMaxFileBytes) break;
    text.insert(0, line);
  }
  return text;
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// The file is the old one or the new one at any time; mkostemp makes it 0600.
void replace_file(const fs::path& file, std::string_view text) {
  std::string temporary = file.string() + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return;
  const bool written = write_all(fd, text);
  ::close(fd);
  if (!written || ::rename(temporary.c_str(), file.c_str()) != 0) ::unlink(temporary.c_str());
}

bool make_private_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder.parent_path(), failure);
  return ::mkdir(folder.c_str(), S_IRWXU) == 0 || fs::is_directory(folder, failure);
}

bool may_write(const fs::path& file) {
  std::error_code failure;
  const fs::file_type type = fs::symlink_status(file, failure).type();
  return type == fs::file_type::regular || type == fs::file_type::not_found;
}

}  // namespace

std::vector<std::string> ChatHistory::load() const {
  std::vector<std::string> messages;
  if (!file_) return messages;
  std::istringstream lines(read_file(*file_));
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_string()) messages.push_back(json.get<std::string>());
  }
  return messages;
}

void ChatHistory::add(const std::string& message) const {
  if (!file_ || message.size() > kMaxMessageBytes || !may_write(*file_) ||
      !make_private_folder(file_->parent_path()))
    return;
  std::vector<std::string> messages = load();
  if (!messages.empty() && messages.back() == message) return;
  messages.push_back(message);
  replace_file(*file_, as_text(messages));
}

}  // namespace lmdeploy::cli
