#include "cli/calibration_text.h"

#include <gtest/gtest.h>

#include "support/temp_folder.h"
#include "text/tokenizer.h"

namespace lmdeploy::cli {
namespace {

TEST(CalibrationText, FillsAtMost512TokensOfTheFoldersTokenizer) {
  for (const char* name : {"byte_level", "sentencepiece"}) {
    const std::filesystem::path folder =
        std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests/golden/text" / name;
    const auto ids = calibration_ids(folder);
    EXPECT_GT(ids.size(), 300U) << name;
    EXPECT_LE(ids.size(), 512U) << name;
    const auto tokenizer = Tokenizer::load(folder);
    EXPECT_NE(tokenizer->decode(ids, {}).find("The ferry left the island"), std::string::npos) << name;
  }
}

TEST(CalibrationText, IsEmptyWithoutATokenizer) {
  const testing::TempFolder folder;
  EXPECT_TRUE(calibration_ids(folder.path()).empty());
}

}  // namespace
}  // namespace lmdeploy::cli
