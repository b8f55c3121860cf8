#include "client/partial_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace lmdeploy::client {

PartialFile::PartialFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  std::filesystem::create_directories(path_.parent_path(), error);
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("open");
  size_ = lseek(fd_, 0, SEEK_END);
}

PartialFile::~PartialFile() {
  if (fd_ >= 0) close(fd_);
}

void PartialFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("write");
    size_ += written;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void PartialFile::truncate() {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0) fail("shorten");
  size_ = 0;
}

void PartialFile::sync() {
  if (fsync(fd_) != 0) fail("write");
}

void PartialFile::fail(const char* what) const {
  const int code = errno;
  if (code == ENOSPC || code == EDQUOT)
    throw Error(fmt::format("the disk is full: {}", path_.string()),
                "Free space and start again (what was downloaded is kept), or choose another place with "
                "--download-dir or HF_HOME.");
  throw Error(fmt::format("cannot {} {}: {}", what, path_.string(), std::strerror(code)),
              "Choose another place with --download-dir or HF_HOME.");
}

}  // namespace lmdeploy::client
