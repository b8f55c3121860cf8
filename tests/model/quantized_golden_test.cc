// Folders as llm-compressor, GPTQModel and AutoAWQ write them, against the weights that these tools unpack
// (tools/make_quantized_goldens.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

std::filesystem::path quantized_folder(const std::string& name) {
  return std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests/golden/quantized" / name;
}

std::vector<std::string> quantized_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(quantized_folder("")))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// Activations that are rounded fall the other way here and there, where the sums before them differ in the
// last bit.
double tolerance(const std::string& name) {
  return name.find("w8a8") == std::string::npos ? 1e-4 : 2e-2;
}

class QuantizedGolden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream file(quantized_folder(GetParam()) / "golden.json");
    golden_ = nlohmann::json::parse(file);
    LoadOptions options;
    options.dtype = DType::f32;
    model_ = load_model(cpu_.ctx, quantized_folder(GetParam()), options);
  }

  Cpu cpu_;
  nlohmann::json golden_;
  std::unique_ptr<const Model> model_;
};

// One pass over each prompt and its greedy answer shows both.
TEST_P(QuantizedGolden, LogitsAndGreedyIdsAreTheTools) {
  ModelSession session(cpu_.ctx, *model_, static_cast<int>(golden_.at("prompts").size()), 256);
  int seq_idx = 0;
  for (const auto& prompt : golden_.at("prompts")) {
    const Ids asked = prompt.at("ids"), greedy = prompt.at("greedy_ids"), positions = prompt.at("positions");
    ASSERT_EQ(greedy.size(), 64U);
    Ids ids = asked;
    ids.insert(ids.end(), greedy.begin(), greedy.end());
    const std::vector<Logits> logits = session.prefill(seq_idx++, ids, 1000);
    for (std::size_t i = 0; i < positions.size(); i++)
      EXPECT_LT(relative_error(logits.at(static_cast<std::size_t>(positions[i])), prompt.at("logits")[i]),
                tolerance(GetParam()))
          << "position " << positions[i] << " of " << ids.size();
    for (std::size_t i = 0; i < greedy.size(); i++)
      EXPECT_EQ(argmax(logits.at(asked.size() - 1 + i)), greedy[i]) << "greedy token " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, QuantizedGolden, ::testing::ValuesIn(quantized_names()),
                         [](const auto& test) { return test.param; });

// A folder that vanished would otherwise take its tests along.
TEST(QuantizedGoldenFolders, AreAllThere) {
  const std::vector<std::string> expected{"awq_w4",
                                          "awq_w4_internlm2",
                                          "awq_w4_qwen2_skipped",
                                          "ct_w4_asym_channel",
                                          "ct_w4_asym_gptq",
                                          "ct_w4_qwen2_ignore",
                                          "ct_w4_sym",
                                          "ct_w8_channel",
                                          "ct_w8a8",
                                          "gptq_v2_w4_asym",
                                          "gptq_w4",
                                          "gptq_w4_asym_desc_act",
                                          "gptq_w4_static_groups_qwen2",
                                          "gptq_w8_channel",
                                          "gptqmodel_awq_sym"};
  EXPECT_EQ(quantized_names(), expected);
}

}  // namespace
}  // namespace lmdeploy::testing
