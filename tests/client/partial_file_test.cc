#include "client/partial_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmdeploy::client {
namespace {

namespace fs = std::filesystem;

TEST(PartialFile, GrowsOverReopeningAndStartsAnew) {
  const lmdeploy::testing::TempFolder folder;
  const fs::path path = folder / "deep" / "file.incomplete";
  {
    PartialFile(path).append("abc");
  }
  {
    PartialFile file(path);
    EXPECT_EQ(file.size(), 3);
    file.append("de");
    EXPECT_EQ(file.size(), 5);
    EXPECT_EQ(fs::file_size(path), 5U);
    file.truncate();
    file.append("x");
  }
  EXPECT_EQ(fs::file_size(path), 1U);
}

TEST(PartialFile, NamesAFullDisk) {
  PartialFile file("/dev/full");
  try {
    file.append("abc");
    FAIL() << "nothing can be written to /dev/full";
  } catch (const Error& error) {
    EXPECT_THAT(error.problem(), ::testing::HasSubstr("the disk is full"));
    EXPECT_THAT(error.remedy(), ::testing::HasSubstr("--download-dir"));
  }
}

}  // namespace
}  // namespace lmdeploy::client
