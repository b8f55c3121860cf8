#include "dataset/text_column.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"

namespace lmdeploy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kNoLimit = 1 << 20;

const std::string kFolder = LMDEPLOY_SOURCE_DIR "/tests/golden/dataset/";

std::string read(const std::string& name) {
  std::ostringstream bytes;
  bytes << std::ifstream(kFolder + name, std::ios::binary).rdbuf();
  return bytes.str();
}

std::string column_of(const std::string& name) {
  return name.ends_with(".parquet") ? "sentence" : "text";
}

std::string expected_text(const std::string& name) {
  const bool has_nulls = name.ends_with(".parquet") && name != "none_required.parquet";
  std::string text;
  for (const auto& row : nlohmann::json::parse(read("rows.json")))
    if (has_nulls || !row.is_null()) text += (row.is_null() ? "" : row.get<std::string>()) + "\n\n";
  text.resize(text.size() - 2);
  return text;
}

// What is said of a file that is refused; empty where it gives a text.
std::string failure(std::string_view file, std::string_view column) {
  try {
    read_text_column(file, column, kNoLimit);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

class DatasetFile : public ::testing::TestWithParam<const char*> {
 protected:
  const std::string name_ = GetParam();
  const std::string file_ = read(name_);
  const std::string column_ = column_of(name_);
};

TEST_P(DatasetFile, GivesItsRows) {
  EXPECT_EQ(read_text_column(file_, column_, kNoLimit), expected_text(name_));
}

TEST_P(DatasetFile, EndsBeforeTheRowThatIsTooMuch) {
  const std::string all = expected_text(name_);
  for (std::size_t max_bytes = 200; max_bytes < all.size(); max_bytes += 37) {
    const std::string text = read_text_column(file_, column_, max_bytes);
    EXPECT_LE(text.size(), max_bytes);
    EXPECT_GE(text.size() + 130, max_bytes);
    EXPECT_THAT(all, StartsWith(text));
    EXPECT_EQ(all.substr(text.size(), 2), "\n\n");
  }
}

TEST_P(DatasetFile, HasNoOtherColumn) {
  for (const char* column : {"", "nested", "other", "n"}) EXPECT_NE(failure(file_, column), "") << column;
  EXPECT_THAT(failure(file_, "other"), HasSubstr("'other'"));
}

// Whatever comes is an Error or a text, and no more than that.
TEST_P(DatasetFile, SurvivesAnyDamage) {
  int num_refused = 0;
  constexpr int kBits[] = {0x01, 0x80, 0xff};
  for (std::size_t i = 0; i < file_.size(); ++i) {
    std::string damaged = file_;
    damaged[i] = static_cast<char>(damaged[i] ^ kBits[i % std::size(kBits)]);
    if (!failure(damaged, column_).empty()) ++num_refused;
  }
  EXPECT_GT(num_refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Golden, DatasetFile,
                         ::testing::Values("snappy.parquet", "gzip_row_groups.parquet", "zstd_v2.parquet",
                                           "plain_v2.parquet", "none_required.parquet", "lines.json.gz",
                                           "lines.jsonl.zst"),
                         [](const auto& file) {
                           std::string name = file.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(TextColumn, TheBeginningOfJsonLinesGivesWholeLines) {
  for (const char* name : {"lines.json.gz", "lines.jsonl.zst"}) {
    const std::string file = read(name), all = expected_text(name);
    std::size_t last_size = 0;
    for (std::size_t size = file.size() / 4; size < file.size(); ++size) {
      std::string text;
      try {
        text = read_text_column(file.substr(0, size), "text", kNoLimit);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("has no text"));
      }
      EXPECT_GE(text.size(), last_size);
      EXPECT_TRUE(text.empty() || (all + "\n\n").starts_with(text + "\n\n")) << size;
      last_size = text.size();
    }
    EXPECT_GT(last_size, 0U);
  }
}

TEST(TextColumn, AParquetFileMustBeWhole) {
  const std::string file = read("snappy.parquet");
  for (std::size_t size = 4; size < file.size(); ++size)
    EXPECT_NE(failure(file.substr(0, size), "sentence"), "");
  EXPECT_THAT(failure(file.substr(0, 1000), "sentence"), HasSubstr("without its end"));
}

TEST(TextColumn, ColumnsOfOtherTypesAreNoText) {
  const std::string file = read("snappy.parquet");
  for (const char* column : {"id", "nested", "tags"})
    EXPECT_THAT(failure(file, column), HasSubstr("holds no strings")) << column;
}

TEST(TextColumn, OtherFilesAreRefused) {
  EXPECT_THAT(failure("<html>log in to this Wi-Fi</html>", "text"),
              HasSubstr("no Parquet, gzip or Zstandard"));
  EXPECT_THAT(failure("", "text"), HasSubstr("no Parquet, gzip or Zstandard"));
}

}  // namespace
}  // namespace lmdeploy
