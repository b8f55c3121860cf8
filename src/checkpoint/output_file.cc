#include "checkpoint/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;

// Large enough to be efficient, small enough that an error comes early.
constexpr std::size_t kMaxWriteBytes = 64 << 20;

bool is_full(int code) {
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

// Empty where the system does not say.
std::optional<std::uint64_t> free_bytes_beside(const fs::path& path) {
  std::error_code failure;
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  const fs::space_info space = fs::space(folder, failure);
  return failure ? std::nullopt : std::optional<std::uint64_t>(space.available);
}

// 0 or an error number.
int reserve(int fd, const fs::path& path, std::uint64_t bytes) {
  if (bytes == 0) return 0;
  // Asked first, because a reservation that must fail may fill the disk before it does.
  if (free_bytes_beside(path).value_or(bytes) < bytes) return ENOSPC;
  return ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
}

}  // namespace

OutputFile::OutputFile(fs::path path, std::uint64_t final_bytes)
    : path_(std::move(path)), final_bytes_(final_bytes) {
  temporary_ = path_;
  temporary_ += fmt::format(".tmp-{}", ::getpid());
  fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) throw Error(fmt::format("cannot create {}: {}", temporary_.string(), std::strerror(errno)));
  const int code = reserve(fd_, path_, final_bytes_);
  if (is_full(code)) {
    ::close(std::exchange(fd_, -1));
    ::unlink(temporary_.c_str());
    fail("reserve space for", code, 0);
  }
  // Other failures mean that the file system cannot reserve; the writes will tell.
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      final_bytes_(other.final_bytes_),
      fd_(std::exchange(other.fd_, -1)),
      synced_(other.synced_) {}

void OutputFile::fail(const char* action, int code, std::uint64_t num_written) const {
  const std::string problem = fmt::format("cannot {} {}: {}", action, path_.string(), std::strerror(code));
  if (!is_full(code)) throw Error(problem);
  const std::uint64_t needed = final_bytes_ - std::min(final_bytes_, num_written);
  const std::uint64_t available = free_bytes_beside(path_).value_or(0);
  throw Error(fmt::format("{}: {} bytes are needed, {} are free, {} are missing", problem, needed, available,
                          needed - std::min(needed, available)),
              "Free space there or choose a folder on another disk.");
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  CHECK(fd_ >= 0, "{} is closed", path_.string());
  synced_ = false;
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kMaxWriteBytes);
    const ssize_t written = ::pwrite(fd_, bytes.data(), count, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("write", written < 0 ? errno : ENOSPC, offset);
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void OutputFile::sync() {
  CHECK(fd_ >= 0, "{} is closed", path_.string());
  if (::fsync(fd_) != 0) fail("write", errno, 0);
  synced_ = true;
}

void OutputFile::commit() {
  if (!synced_) sync();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename a temporary file to", errno, 0);
  ::close(std::exchange(fd_, -1));
}

void write_text_file(const fs::path& path, std::string_view text) {
  OutputFile file(path, text.size());
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw Error(fmt::format("cannot open {}: {}", folder.string(), std::strerror(errno)));
  const int failed = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  // Some file systems cannot sync a folder; that is no reason to lose a finished model.
  if (failed != 0 && code != EINVAL && code != ENOTSUP)
    throw Error(fmt::format("cannot sync {}: {}", folder.string(), std::strerror(code)));
}

}  // namespace lmdeploy
