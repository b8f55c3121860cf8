#include "base/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmdeploy {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class MappedFileTest : public ::testing::Test {
 protected:
  fs::path write(const std::string& content) const { return folder_.write("file.bin", content); }

  const testing::TempFolder folder_;
};

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_F(MappedFileTest, ReadsWhatTheFileHolds) {
  const MappedFile file(write("hello, weights"));
  EXPECT_EQ(file.size(), 14U);
  EXPECT_EQ(text(file.bytes()), "hello, weights");
  EXPECT_EQ(text(file.bytes(7, 7)), "weights");
  EXPECT_EQ(text(file.bytes(14, 0)), "");
}

TEST_F(MappedFileTest, AnEmptyFileIsNoSpecialCase) {
  const MappedFile file(write(""));
  EXPECT_EQ(file.size(), 0U);
  EXPECT_TRUE(file.bytes().empty());
  EXPECT_TRUE(file.bytes(0, 0).empty());
  EXPECT_THROW(file.bytes(0, 1), Error);
}

TEST_F(MappedFileTest, RangesPastTheEndAreErrorsAlsoWhereTheSumOverflows) {
  const MappedFile file(write("0123456789"));
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_NO_THROW(file.bytes(0, 10));
  EXPECT_THROW(file.bytes(0, 11), Error);
  EXPECT_THROW(file.bytes(10, 1), Error);
  EXPECT_THROW(file.bytes(11, 0), Error);
  EXPECT_THROW(file.bytes(5, kMax), Error);
  EXPECT_THROW(file.bytes(kMax, 5), Error);
  EXPECT_THROW(file.bytes(kMax, kMax), Error);
}

TEST_F(MappedFileTest, NamesThePathOfWhatItCannotOpen) {
  try {
    const MappedFile file(folder_ / "absent.bin");
    FAIL() << "opened a file that is not there";
  } catch (const Error& error) {
    EXPECT_THAT(error.problem(), HasSubstr("absent.bin"));
    EXPECT_THAT(error.problem(), HasSubstr("No such file"));
  }
}

TEST_F(MappedFileTest, RefusesAFolderAndADevice) {
  EXPECT_THROW(MappedFile{folder_.path()}, Error);
  EXPECT_THROW(MappedFile{"/dev/null"}, Error);
}

TEST_F(MappedFileTest, RefusesAPipeInsteadOfWaitingForAWriter) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(MappedFile{pipe}, Error);
}

TEST_F(MappedFileTest, MovesItsMapping) {
  MappedFile first(write("moved"));
  const std::byte* data = first.bytes().data();
  MappedFile second(std::move(first));
  EXPECT_EQ(second.bytes().data(), data);
  fs::rename(folder_ / "file.bin", folder_ / "old.bin");
  MappedFile third(write("other"));
  third = std::move(second);
  EXPECT_EQ(text(third.bytes()), "moved");
  EXPECT_EQ(third.path().filename(), "file.bin");
}

TEST_F(MappedFileTest, SaysWhenTheFileChangesItsSize) {
  const fs::path path = write("a file that shrinks");
  const MappedFile file(path);
  EXPECT_NO_THROW(file.check_unchanged());
  fs::resize_file(path, 5);
  try {
    file.check_unchanged();
    FAIL() << "a truncated file passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.problem(), HasSubstr("expected 19 bytes, found 5"));
  }
}

TEST_F(MappedFileTest, ReleasedPagesReadTheSameAgain) {
  std::string content(3 * 65536 + 17, '\0');
  for (std::size_t i = 0; i < content.size(); i++) content[i] = static_cast<char>(i * 131 >> 3);
  const MappedFile file(write(content));
  ASSERT_EQ(text(file.bytes()), content);
  file.release(1, content.size() - 1);
  file.release(content.size(), 10);
  file.release(0, std::numeric_limits<std::uint64_t>::max());
  file.release(4096, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(text(file.bytes()), content);
}

}  // namespace
}  // namespace lmdeploy
