#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace lmdeploy {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: a named pipe is refused below instead of waited for.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw Error(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  struct stat info{};
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    throw Error(fmt::format("{} is not a regular file", path.string()));
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
  if (size_ == 0) return;  // mmap refuses an empty range; bytes() is empty
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
  if (mapped == MAP_FAILED) {
    const int code = errno;
    ::close(fd_);
    throw Error(fmt::format("cannot map {} ({} bytes): {}", path.string(), size_, std::strerror(code)));
  }
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(fd_, other.fd_);
  return *this;
}

std::span<const std::byte> MappedFile::bytes(std::uint64_t offset, std::uint64_t length) const {
  if (offset > size_ || length > size_ - offset)
    throw Error(fmt::format("{}: bytes [{}, +{}) lie outside the file's {} bytes", path_.string(), offset,
                            length, size_),
                "The file is truncated or damaged; fetch it again.");
  return bytes().subspan(offset, length);
}

void MappedFile::check_unchanged() const {
  struct stat info{};
  if (::fstat(fd_, &info) != 0 || static_cast<std::uint64_t>(info.st_size) != size_)
    throw Error(fmt::format("{} changed its size while it was read (expected {} bytes, found {})",
                            path_.string(), size_, info.st_size),
                "Wait until the file is written, then start again.");
}

void MappedFile::release(std::uint64_t offset, std::uint64_t length) const noexcept {
  if (data_ == nullptr || offset >= size_) return;
  const std::uint64_t begin = (offset + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::uint64_t end = (offset + std::min(length, size_ - offset)) / kPageBytes * kPageBytes;
  if (end > begin) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace lmdeploy
