#include "cli/model_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModelSourceTest : public ::testing::Test {
 protected:
  ModelSourceTest() { folder_.write("model/config.json", "{}"); }

  static ModelSource find(const fs::path& model) {
    ModelOptions options;
    options.model = model.string();
    return find_model(options);
  }
  static std::string failure(const fs::path& model) {
    try {
      find(model);
    } catch (const Error& error) {
      return error.what();
    }
    return "it did not fail";
  }
  const testing::TempFolder folder_;
};

TEST_F(ModelSourceTest, AFolderIsItself) {
  EXPECT_EQ(find(folder_ / "model").folder, folder_ / "model");
  EXPECT_EQ(find((folder_ / "model").string() + "/").name, (folder_ / "model").string());
}

TEST_F(ModelSourceTest, SaysWhatAFolderLacks) {
  fs::create_directories(folder_ / "gguf");
  EXPECT_THAT(failure(folder_ / "gguf"), HasSubstr("no config.json"));
  std::ofstream(folder_ / "gguf" / "m.Q4.gguf") << "GGUF";
  EXPECT_THAT(failure(folder_ / "gguf"), HasSubstr("m.Q4.gguf"));
}

TEST_F(ModelSourceTest, PathsAreNeverLookedUpOnTheHub) {
  EXPECT_THAT(failure(folder_ / "nothing"), HasSubstr("there is no model"));
  EXPECT_THAT(failure("./org/name"), HasSubstr("there is no model"));
  EXPECT_THAT(failure("models/missing.gguf"), HasSubstr("there is no model"));
  EXPECT_THAT(failure("plainword"), HasSubstr("there is no model"));
  EXPECT_THAT(failure(folder_ / "model" / "config.json"), HasSubstr("no .gguf"));
}

TEST(HubName, IsTwoWordsOfTheHubsLetters) {
  EXPECT_TRUE(looks_like_hub_name("internlm/internlm2_5-1_8b-chat"));
  EXPECT_FALSE(looks_like_hub_name("internlm"));
  EXPECT_FALSE(looks_like_hub_name("a/b/c"));
  EXPECT_FALSE(looks_like_hub_name("../b"));
  EXPECT_FALSE(looks_like_hub_name("a/"));
  EXPECT_FALSE(looks_like_hub_name("a/b c"));
}

}  // namespace
}  // namespace lmdeploy::cli
