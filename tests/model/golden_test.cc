// Every architecture and rope type against Hugging Face transformers (tools/make_goldens.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/model_session.h"

namespace lmdeploy::testing {
namespace {

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream file(golden_folder(GetParam()) / "golden.json");
    golden_ = nlohmann::json::parse(file);
    LoadOptions options;
    options.session_len = golden_.at("session_len");
    model_ = load_model(cpu_.ctx, golden_folder(GetParam()), options);
  }

  Cpu cpu_;
  nlohmann::json golden_;
  std::unique_ptr<const Model> model_;
};

TEST_P(Golden, LogitsAreTransformers) {
  ModelSession session(cpu_.ctx, *model_, static_cast<int>(golden_.at("prompts").size()), 256);
  int seq_idx = 0;
  for (const auto& prompt : golden_.at("prompts")) {
    Ids ids = prompt.at("ids");
    for (const std::int32_t id : prompt.at("greedy_ids")) ids.push_back(id);
    const std::vector<Logits> logits = session.prefill(seq_idx++, ids, 1000);
    const Ids positions = prompt.at("positions");
    for (std::size_t i = 0; i < positions.size(); i++)
      EXPECT_LT(relative_error(logits.at(static_cast<std::size_t>(positions[i])), prompt.at("logits")[i]),
                1e-4)
          << "position " << positions[i] << " of " << ids.size();
  }
}

TEST_P(Golden, GreedyIdsAreTransformers) {
  ModelSession session(cpu_.ctx, *model_, static_cast<int>(golden_.at("prompts").size()), 256);
  int seq_idx = 0;
  for (const auto& prompt : golden_.at("prompts")) {
    const Ids expected = prompt.at("greedy_ids");
    ASSERT_EQ(expected.size(), 64U);
    Ids actual;
    Feed feed{seq_idx++, prompt.at("ids"), false};
    while (actual.size() < expected.size()) {
      actual.push_back(argmax(session.step({feed})[0][0]));
      feed.ids = {actual.back()};
    }
    EXPECT_EQ(actual, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, ::testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });

// A folder that vanished would otherwise take its tests along.
TEST(GoldenFolders, AreAllThere) {
  const std::vector<std::string> expected{"internlm2_5",   "llama",        "llama3",     "llama_bias_tied",
                                          "llama_dynamic", "llama_linear", "llama_yarn", "llama_yarn_mscale",
                                          "mistral",       "qwen2",        "qwen3"};
  EXPECT_EQ(golden_names(), expected);
}

}  // namespace
}  // namespace lmdeploy::testing
