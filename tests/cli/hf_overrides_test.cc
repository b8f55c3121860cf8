#include "cli/hf_overrides.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/usage_error.h"
#include "support/temp_folder.h"

namespace lmdeploy::cli {
namespace {

namespace fs = std::filesystem;

class HfOverridesTest : public ::testing::Test {
 protected:
  HfOverridesTest() {
    setenv("LMDEPLOY_CACHE", (root_ / "cache").c_str(), 1);
    root_.write("model/config.json",
                R"({"rope_theta": 1e4, "rope_scaling": {"type": "dynamic", "factor": 2}, "pad": 1})");
    root_.write("model/tokenizer.json", "{}");
  }
  ~HfOverridesTest() override { unsetenv("LMDEPLOY_CACHE"); }
  nlohmann::json config(const std::vector<std::string>& overrides) {
    std::ifstream in(overridden_folder(root_ / "model", overrides) / "config.json");
    return nlohmann::json::parse(in);
  }
  const testing::TempFolder root_;
};

TEST_F(HfOverridesTest, MergesDeeplyAndLaterOnesWin) {
  const nlohmann::json merged =
      config({R"({"rope_scaling": {"factor": 4}, "pad": null})", R"({"rope_theta": 1e6})"});
  EXPECT_EQ(merged, nlohmann::json::parse(
                        R"({"rope_theta": 1e6, "rope_scaling": {"type": "dynamic", "factor": 4}})"));
}

TEST_F(HfOverridesTest, TheRestIsTheModelsOwnAndTheModelIsUntouched) {
  const fs::path folder = overridden_folder(root_ / "model", {R"({"pad": 2})"});
  EXPECT_TRUE(fs::equivalent(folder / "tokenizer.json", root_ / "model" / "tokenizer.json"));
  std::ifstream in(root_ / "model" / "config.json");
  EXPECT_EQ(nlohmann::json::parse(in)["pad"], 1);
}

TEST_F(HfOverridesTest, RefusesWhatIsNoObject) {
  EXPECT_THROW(config({"rope_theta=4"}), UsageError);
  EXPECT_THROW(config({"[1]"}), UsageError);
}

}  // namespace
}  // namespace lmdeploy::cli
