#include "cli/outline_folder.h"

#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace lmdeploy::cli {

namespace fs = std::filesystem;

OutlineFolder::OutlineFolder() {
  std::string name = (fs::temp_directory_path() / "lmdeploy-outline-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(fmt::format("cannot create a folder in {}", fs::temp_directory_path().string()),
                "Set TMPDIR to a folder that can be written.");
  path_ = name;
}

OutlineFolder::~OutlineFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void OutlineFolder::add_file(const std::string& name, std::string_view begin, std::uint64_t total_bytes) {
  std::ofstream out(path_ / name, std::ios::binary);
  out.write(begin.data(), static_cast<std::streamsize>(begin.size()));
  std::error_code failure;
  if (out.flush()) fs::resize_file(path_ / name, total_bytes, failure);
  if (!out || failure)
    throw Error(fmt::format("cannot write {}", (path_ / name).string()),
                "Free space there, or set TMPDIR to another folder.");
}

}  // namespace lmdeploy::cli
