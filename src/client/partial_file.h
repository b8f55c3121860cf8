#pragma once
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace lmdeploy::client {

// A file that grows at its end. Every failure to write is an Error that names the free space.
class PartialFile {
 public:
  explicit PartialFile(std::filesystem::path path);  // opened, or made with its folders
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::int64_t size() const noexcept { return size_; }  // bytes
  void append(std::string_view bytes);
  void truncate();  // to nothing
  void sync();      // to the disk

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  int fd_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace lmdeploy::client
