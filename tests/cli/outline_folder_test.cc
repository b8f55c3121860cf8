#include "cli/outline_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

std::int64_t bytes_on_disk(const fs::path& file) {
  struct stat status{};
  EXPECT_EQ(::stat(file.c_str(), &status), 0);
  return std::int64_t{512} * status.st_blocks;
}

TEST(OutlineFolder, FilesBeginAsGivenHaveTheirSizeAndTakeNoRoom) {
  OutlineFolder folder;
  folder.add_file("config.json", "{}", 2);
  folder.add_file("model.safetensors", "begin", std::uint64_t{14} << 30);
  EXPECT_EQ(fs::file_size(folder.path() / "config.json"), 2U);
  EXPECT_EQ(fs::file_size(folder.path() / "model.safetensors"), std::uint64_t{14} << 30);
  EXPECT_LT(bytes_on_disk(folder.path() / "model.safetensors"), 1 << 20);
  char begin[6] = {};
  std::ifstream(folder.path() / "model.safetensors").read(begin, 5);
  EXPECT_STREQ(begin, "begin");
}

TEST(OutlineFolder, AFileGivenTwiceIsTheSecond) {
  OutlineFolder folder;
  folder.add_file("config.json", R"({"a": 12345})", 12);
  folder.add_file("config.json", "{}", 2);
  std::ifstream in(folder.path() / "config.json");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "{}");
}

TEST(OutlineFolder, GoesWithTheObject) {
  fs::path path;
  {
    OutlineFolder folder;
    path = folder.path();
    folder.add_file("a", "b", 1);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace lmdeploy::cli
