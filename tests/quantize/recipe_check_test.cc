#include "quantize/recipe_check.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "quantize/tiny_model.h"

namespace lmdeploy::testing {
namespace {

class RecipeCheck : public ::testing::Test {
 protected:
  std::string refusal(const Recipe& recipe, const SampleOptions& samples = {4, 32}) {
    try {
      check_recipe(model_.source(), recipe, samples);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  static bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

  Cpu cpu_;
  TinyModel model_{cpu_, Layout::llama};
  Recipe recipe_{.group_size = 32};
};

TEST_F(RecipeCheck, GroupsMustDivideEveryInput) {
  EXPECT_EQ(refusal(recipe_), "");
  recipe_.group_size = -1;
  EXPECT_EQ(refusal(recipe_), "");
  recipe_.group_size = 64;  // 64 and 96 inputs
  EXPECT_TRUE(has(refusal(recipe_), "--w-group-size 64")) << refusal(recipe_);
  EXPECT_TRUE(has(refusal(recipe_), "64, 96")) << refusal(recipe_);
  EXPECT_TRUE(has(refusal(recipe_), "Those that do: 32, -1")) << refusal(recipe_);
}

TEST_F(RecipeCheck, TheFormatMustHoldTheBits) {
  recipe_.bits = 8;
  EXPECT_TRUE(has(refusal(recipe_), "auto_gptq"));
  recipe_.format = OutputFormat::gptq;
  EXPECT_EQ(refusal(recipe_), "");
}

TEST_F(RecipeCheck, SomeRecipesNeedSamples) {
  const SampleOptions none{0, 2048};
  recipe_.scaling = Recipe::Scaling::none;
  EXPECT_EQ(refusal(recipe_, none), "");
  recipe_.rounding = Recipe::Rounding::gptq;
  EXPECT_TRUE(has(refusal(recipe_, none), "--calib-samples 0"));
}

TEST_F(RecipeCheck, SamplesMustFitTheContext) {
  const std::int64_t context = model_.source().config.max_position_embeddings;
  EXPECT_EQ(refusal(recipe_, {4, context}), "");
  EXPECT_TRUE(has(refusal(recipe_, {4, context + 1}), "--calib-seqlen"));
}

TEST_F(RecipeCheck, AQuantisedFolderIsRefused) {
  nlohmann::json config;
  std::ifstream(model_.folder() / "config.json") >> config;
  config["quantization_config"] = {{"quant_method", "awq"}};
  std::ofstream(model_.folder() / "config.json") << config;
  EXPECT_TRUE(has(refusal(recipe_), "is quantised already (awq)"));
}

TEST_F(RecipeCheck, TheDiskMustHoldTheRun) {
  EXPECT_NO_THROW(check_space(model_.folder() / "not" / "yet", model_.source(), recipe_, {4, 32}));
  const SampleOptions huge{1 << 20, std::int64_t{1} << 32};
  EXPECT_THROW(check_space(model_.folder(), model_.source(), recipe_, huge), Error);
}

}  // namespace
}  // namespace lmdeploy::testing
