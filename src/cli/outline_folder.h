#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lmdeploy::cli {

// A model folder without its data: the files have their real beginnings and sizes, and where the data would
// be they have holes. Whatever reads names, shapes and sizes reads it as it reads the model, and it takes no
// room on a disk. The folder is removed with the object.
class OutlineFolder {
 public:
  OutlineFolder();  // a new, empty folder among the system's temporary ones; throws Error
  ~OutlineFolder();
  OutlineFolder(const OutlineFolder&) = delete;
  OutlineFolder& operator=(const OutlineFolder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

  // Writes `begin` and makes the file total_bytes long. Throws Error.
  void add_file(const std::string& name, std::string_view begin, std::uint64_t total_bytes);

 private:
  std::filesystem::path path_;
};

}  // namespace lmdeploy::cli
