#include "quantize/output_folder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "quantize/pipeline.h"
#include "quantize/tiny_model.h"

namespace lmdeploy::testing {
namespace {

namespace fs = std::filesystem;

class OutputFolder : public ::testing::Test {
 protected:
  fs::path quantize(const Recipe& recipe) {
    WorkFolder work(root_ / "out", {}, false);
    quantize_layers(cpu_.ctx, model_.source(), recipe, {}, work, [](const PipelineProgress&) {});
    write_model_folder(model_.source(), recipe, work, work.make_result_folder(), {});
    work.publish();
    return root_ / "out";
  }
  static nlohmann::json config_of(const fs::path& folder) {
    return nlohmann::json::parse(std::ifstream(folder / "config.json"));
  }
  static Recipe plain(OutputFormat format) {
    Recipe recipe;
    recipe.scaling = Recipe::Scaling::none;
    recipe.format = format;
    recipe.group_size = format == OutputFormat::int8_per_token ? -1 : 32;
    recipe.bits = format == OutputFormat::int8_per_token ? 8 : 4;
    recipe.symmetric = format == OutputFormat::int8_per_token;
    return recipe;
  }

  Cpu cpu_;
  TempFolder root_;
  TinyModel model_{cpu_, Layout::internlm2};
};

TEST_F(OutputFolder, OtherFilesAreCopiedAndWeightsAreNot) {
  std::ofstream(model_.folder() / "modeling_internlm2.py") << "code";
  std::ofstream(model_.folder() / "pytorch_model.bin") << "weights";
  const fs::path out = quantize(plain(OutputFormat::awq));
  for (const char* name : {"modeling_internlm2.py", "tokenizer.json", "tokenizer_config.json",
                           "generation_config.json", "config.json", "model.safetensors"})
    EXPECT_TRUE(fs::exists(out / name)) << name;
  EXPECT_FALSE(fs::exists(out / "pytorch_model.bin"));
}

TEST_F(OutputFolder, ConfigGainsOneFieldAndKeepsTheOthers) {
  const nlohmann::json before = config_of(model_.folder());
  nlohmann::json after = config_of(quantize(plain(OutputFormat::awq)));
  const nlohmann::json added = after["quantization_config"];
  EXPECT_EQ(added["quant_method"], "awq");
  EXPECT_EQ(added["group_size"], 32);
  EXPECT_EQ(added["modules_to_not_convert"], nlohmann::json({"output"}));
  after.erase("quantization_config");
  EXPECT_EQ(after, before);
}

TEST_F(OutputFolder, LinearsArePackedAndTheRestStays) {
  const fs::path out = quantize(plain(OutputFormat::awq));
  const Checkpoint result(out);
  const std::string linear = "model.layers.1.feed_forward.w1";
  EXPECT_FALSE(result.contains(linear + ".weight"));
  EXPECT_EQ(result.get(linear + ".qweight").shape, (Shape{64, 12}));
  EXPECT_EQ(result.get(linear + ".scales").shape, (Shape{2, 96}));
  EXPECT_EQ(result.get(linear + ".scales").dtype, DType::f16);
  EXPECT_EQ(result.get(linear + ".qzeros").shape, (Shape{2, 12}));
  for (const char* name : {"model.tok_embeddings.weight", "output.weight", "model.norm.weight",
                           "model.layers.0.attention_norm.weight"}) {
    const View kept = result.get(name), source = model_.source().checkpoint->get(name);
    ASSERT_EQ(kept.bytes(), source.bytes()) << name;
    EXPECT_EQ(std::memcmp(kept.data, source.data, static_cast<std::size_t>(kept.bytes())), 0) << name;
  }
}

TEST_F(OutputFolder, GptqNeverStoresAZeroOfZero) {
  const Checkpoint result(quantize(plain(OutputFormat::gptq)));
  const std::string linear = "model.layers.0.attention.wqkv";
  EXPECT_EQ(result.get(linear + ".qweight").shape, (Shape{8, 128}));
  EXPECT_EQ(result.get(linear + ".g_idx").as<std::int32_t>()[33], 1);
  const View zeros = result.get(linear + ".qzeros");  // zero - 1 in each nibble
  for (std::int64_t i = 0; i < zeros.shape.num_elements(); i++)
    for (int shift = 0; shift < 32; shift += 4)
      EXPECT_NE((static_cast<std::uint32_t>(zeros.as<std::int32_t>()[i]) >> shift) & 15U, 15U);
}

TEST_F(OutputFolder, EightBitsGoToAByteEach) {
  const fs::path out = quantize(plain(OutputFormat::int8_per_token));
  const Checkpoint result(out);
  const std::string linear = "model.layers.0.feed_forward.w2";
  EXPECT_EQ(result.get(linear + ".weight").dtype, DType::i8);
  EXPECT_EQ(result.get(linear + ".weight").shape, (Shape{64, 96}));
  EXPECT_EQ(result.get(linear + ".weight_scale").shape, (Shape{64, 1}));
  const nlohmann::json config = config_of(out)["quantization_config"];
  EXPECT_EQ(config["format"], "int-quantized");
  EXPECT_EQ(config["config_groups"]["group_0"]["input_activations"]["dynamic"], true);
  EXPECT_EQ(config["ignore"], nlohmann::json({"output"}));
}

}  // namespace
}  // namespace lmdeploy::testing
