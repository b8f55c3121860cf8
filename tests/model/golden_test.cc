// Every architecture and rope type against Hugging Face transformers (tools/make_goldens.py).
#include "model/golden_fixture.h"

namespace lmdeploy::testing {
namespace {

class Golden : public GoldenTest {
 protected:
  void SetUp() override { load(golden_folder(GetParam()), {}); }
};

TEST_P(Golden, LogitsAreTransformers) {
  ModelSession session = this->session();
  int seq_idx = 0;
  for (const auto& prompt : prompts()) expect_logits(session, seq_idx++, prompt, 1e-4);
}

TEST_P(Golden, GreedyIdsAreTransformers) {
  ModelSession session = this->session();
  int seq_idx = 0;
  for (const auto& prompt : prompts()) {
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
