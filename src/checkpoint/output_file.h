#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lmdeploy {

// A file that appears under its name only when it is complete and on the disk: it is written beside it under
// a temporary name, which the destructor removes unless commit() ran. Throws Error on any failure; on a full
// disk it says how many bytes were missing.
class OutputFile {
 public:
  // Reserves final_bytes at once where the file system can, so that a full disk shows before the work.
  OutputFile(std::filesystem::path path, std::uint64_t final_bytes);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void sync();    // to the disk, still under the temporary name
  void commit();  // sync, then rename

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  [[noreturn]] void fail(const char* action, int code, std::uint64_t num_written) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::uint64_t final_bytes_ = 0;
  int fd_ = -1;
  bool synced_ = false;
};

// A whole small file through OutputFile.
void write_text_file(const std::filesystem::path& path, std::string_view text);

// Makes the names in a folder durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace lmdeploy
