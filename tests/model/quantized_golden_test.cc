// Folders as llm-compressor, GPTQModel and AutoAWQ write them, against the weights that these tools unpack
// (tools/make_quantized_goldens.py).
#include "model/golden_fixture.h"

namespace lmdeploy::testing {
namespace {

std::filesystem::path quantized_folder(const std::string& name) {
  return std::filesystem::path(LMDEPLOY_SOURCE_DIR) / "tests/golden/quantized" / name;
}

std::vector<std::string> quantized_names() {
  return golden_names(quantized_folder(""));
}

// Activations that are rounded fall the other way here and there, where the sums before them differ in the
// last bit.
double tolerance(const std::string& name) {
  return name.find("w8a8") == std::string::npos ? 1e-4 : 2e-2;
}

class QuantizedGolden : public GoldenTest {
 protected:
  void SetUp() override { load(quantized_folder(GetParam()), {.dtype = DType::f32}); }
};

// One pass over each prompt and its greedy answer shows both.
TEST_P(QuantizedGolden, LogitsAndGreedyIdsAreTheTools) {
  ModelSession session = this->session();
  int seq_idx = 0;
  for (const auto& prompt : prompts()) {
    const Ids greedy = prompt.at("greedy_ids");
    ASSERT_EQ(greedy.size(), 64U);
    const std::vector<Logits> logits = expect_logits(session, seq_idx++, prompt, tolerance(GetParam()));
    const std::size_t last_asked = prompt.at("ids").size() - 1;
    for (std::size_t i = 0; i < greedy.size(); i++)
      EXPECT_EQ(argmax(logits.at(last_asked + i)), greedy[i]) << "greedy token " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, QuantizedGolden, ::testing::ValuesIn(quantized_names()),
                         [](const auto& test) { return test.param; });

// A folder that vanished would otherwise take its tests along.
TEST(QuantizedGoldenFolders, AreAllThere) {
  const std::vector<std::string> expected{"awq_w4",
                                          "awq_w4_internlm2",
                                          "awq_w4_qwen2_skipped",
                                          "ct_fp8_block",
                                          "ct_fp8_dynamic",
                                          "ct_fp8_static",
                                          "ct_w4_asym_channel",
                                          "ct_w4_asym_gptq",
                                          "ct_w4_qwen2_ignore",
                                          "ct_w4_sym",
                                          "ct_w8_channel",
                                          "ct_w8a8",
                                          "fp8_block_qwen3",
                                          "fp8_tensor",
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
