#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace lmdeploy {

// A file mapped read-only. Reads outside it throw Error; they never fault on a well-behaved file system.
// (A file that another process shortens while it is mapped raises SIGBUS on access: check_unchanged() before
// a long read turns the common case into an Error, cli/bus_error.h the rest into a message.)
class MappedFile {
 public:
  explicit MappedFile(
      const std::filesystem::path& path);  // throws Error: missing, not a regular file, no permission
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t size() const noexcept { return size_; }  // bytes
  std::span<const std::byte> bytes() const noexcept { return {data_, static_cast<std::size_t>(size_)}; }
  std::span<const std::byte> bytes(std::uint64_t offset,
                                   std::uint64_t length) const;  // throws Error past the end

  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data_), static_cast<std::size_t>(size_)};
  }

  // Throws Error where the file's size is no longer what was mapped.
  void check_unchanged() const;

  // Gives the pages of [offset, offset + length) back to the system; a later read fetches them again.
  void release(std::uint64_t offset, std::uint64_t length) const noexcept;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  int fd_ = -1;
};

}  // namespace lmdeploy
