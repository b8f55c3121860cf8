// Five small models, made by tests/golden/gguf/make_models.py on the Hugging Face side and written as
// llama.cpp writes them: the converter must give back what they were made from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/foreign_bytes.h"
#include "checkpoint/hf_config.h"
#include "convert/gguf_to_hf.h"
#include "text/tokenizer.h"

namespace lmdeploy {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::read_bytes;
using testing::TempFolder;
using ::testing::UnorderedElementsAreArray;

const std::string kGoldens = LMDEPLOY_SOURCE_DIR "/tests/golden/gguf/";

std::string fnv_of(const View& view) {
  std::uint64_t value = 0xcbf29ce484222325U;
  const auto* bytes = static_cast<const std::uint8_t*>(view.data);
  for (std::int64_t i = 0; i < view.bytes(); ++i) value = (value ^ bytes[i]) * 0x100000001b3U;
  return fmt::format("{:016x}", value);
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  Golden() {
    convert_gguf(kGoldens + GetParam() + ".gguf", folder_, {});
    expected_ = json::parse(read_bytes(kGoldens + GetParam() + ".json"));
  }

  TempFolder parent_;
  std::filesystem::path folder_ = parent_.path() / "model";
  json expected_;
};

TEST_P(Golden, TensorsAreTheReferencesRoundedToBf16) {
  const Checkpoint checkpoint(folder_);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : expected_["tensors"].items()) names.push_back(name);
  EXPECT_THAT(checkpoint.names(), UnorderedElementsAreArray(names));
  for (const auto& [name, tensor] : expected_["tensors"].items()) {
    const View view = checkpoint.get(name);
    EXPECT_EQ(view.dtype, DType::bf16);
    std::vector<std::int64_t> shape;
    for (int dim = 0; dim < view.shape.rank(); ++dim) shape.push_back(view.shape[dim]);
    EXPECT_EQ(json(shape), tensor["shape"]) << name;
    EXPECT_EQ(fnv_of(view), tensor["fnv"]) << name;
  }
}

TEST_P(Golden, ConfigHasTheModelsFields) {
  const json config = json::parse(read_bytes(folder_ / "config.json"));
  for (const auto& [field, value] : expected_["config"].items()) {
    ASSERT_TRUE(config.contains(field)) << field;
    EXPECT_EQ(config[field], value) << field;
  }
  const HfConfig parsed = load_hf_config(folder_);
  EXPECT_EQ(parsed.architecture, expected_["config"]["architectures"][0]);
  EXPECT_EQ(load_generation_config(folder_).eos_token_id, parsed.eos_token_id);
}

TEST_P(Golden, TokensAreTheReferences) {
  const auto tokenizer = Tokenizer::load(folder_);
  for (const json& sample : expected_["samples"]) {
    const std::string text = sample["text"];
    EXPECT_EQ(tokenizer->encode(text, true), sample["ids"].get<std::vector<TokenId>>()) << text;
  }
}

TEST_P(Golden, TheSameFileGivesTheSameBytes) {
  const std::filesystem::path again = parent_.path() / "again";
  convert_gguf(kGoldens + GetParam() + ".gguf", again, {});
  for (const auto& item : std::filesystem::directory_iterator(folder_))
    EXPECT_EQ(read_bytes(item.path()), read_bytes(again / item.path().filename())) << item.path();
}

TEST_P(Golden, TheFolderIsCompleteAndAlone) {
  EXPECT_THAT(parent_.names(), ElementsAre("model"));
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(folder_))
    names.push_back(item.path().filename().string());
  EXPECT_THAT(names,
              ::testing::UnorderedElementsAre("config.json", "generation_config.json", "model.safetensors",
                                              "tokenizer.json", "tokenizer_config.json"));
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, ::testing::Values("llama3", "smollm", "llama_spm", "qwen2", "qwen3"),
                         [](const auto& model) { return model.param; });

TEST(TokenizerConfig, CarriesTheChatTemplateAndTheSpecialTokens) {
  TempFolder parent;
  convert_gguf(kGoldens + "llama3.gguf", parent.path() / "model", {});
  const json config = json::parse(read_bytes(parent.path() / "model" / "tokenizer_config.json"));
  EXPECT_EQ(config["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(config["bos_token"], "<|im_start|>");
  EXPECT_EQ(config["eos_token"], "<|im_end|>");
  EXPECT_EQ(config["add_bos_token"], true);
  EXPECT_EQ(config["chat_template"],
            "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>\n{% endfor %}");
}

}  // namespace
}  // namespace lmdeploy
