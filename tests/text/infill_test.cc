#include "text/infill.h"

#include <gtest/gtest.h>

#include "golden.h"
#include "support/temp_folder.h"

namespace lmdeploy {
namespace {

using ::lmdeploy::testing::golden;
using ::lmdeploy::testing::read;
using ::lmdeploy::testing::read_json;

// The byte-level tokenizer of the goldens, with these added tokens behind its vocabulary.
std::unique_ptr<Tokenizer> with_tokens(const std::vector<std::string>& contents, bool has_bos) {
  const ::lmdeploy::testing::TempFolder folder;
  auto json = read_json(golden("text") / "byte_level/tokenizer.json");
  int id = 1000;
  for (const std::string& content : contents)
    json["added_tokens"].push_back({{"id", id++},
                                    {"content", content},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  folder.write("tokenizer.json", json.dump());
  auto config = read_json(golden("text") / "byte_level/tokenizer_config.json");
  config["bos_token"] = has_bos ? nlohmann::ordered_json("<|im_start|>") : nullptr;
  folder.write("tokenizer_config.json", config.dump());
  return Tokenizer::load(folder.path());
}

TEST(Infill, PutsItsTokensAroundTheTexts) {
  for (const auto& names : {std::vector<std::string>{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
                            std::vector<std::string>{"<fim_prefix>", "<fim_suffix>", "<fim_middle>"}}) {
    const auto tokenizer = with_tokens(names, true);
    const auto suffix = tokenizer->encode(" end", false);
    const TokenId prefix_id = tokenizer->token_to_id(names[0]).value();
    for (const std::vector<TokenId>& before :
         {std::vector<TokenId>{1, 40, 41}, std::vector<TokenId>{40, 41}}) {
      std::vector<TokenId> expected{40, 41};
      expected.insert(expected.begin(), prefix_id);
      if (before.front() == 1) expected.insert(expected.begin(), 1);  // a BOS stays in front
      expected.push_back(tokenizer->token_to_id(names[1]).value());
      expected.insert(expected.end(), suffix.begin(), suffix.end());
      expected.push_back(tokenizer->token_to_id(names[2]).value());
      EXPECT_EQ(infill_prompt(*tokenizer, before, " end"), expected);
    }
  }
}

TEST(Infill, NeedsAllThreeTokens) {
  EXPECT_FALSE(infill_prompt(*with_tokens({}, false), {}, "x"));
  EXPECT_FALSE(infill_prompt(*with_tokens({"<fim_prefix>", "<fim_suffix>"}, false), {}, "x"));
}

}  // namespace
}  // namespace lmdeploy
