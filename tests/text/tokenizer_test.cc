#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "golden.h"
#include "support/temp_folder.h"

namespace lmdeploy {
namespace {

using ::lmdeploy::testing::golden;
using ::lmdeploy::testing::read;
using ::lmdeploy::testing::read_json;
using ::lmdeploy::testing::TempFolder;
using Ids = std::vector<TokenId>;

std::unique_ptr<Tokenizer> load(const std::string& name) {
  return Tokenizer::load(golden("text") / name);
}

// The whole text is the template's own: every special token counts.
RenderedPrompt trusted(const std::string& text) {
  return {text, {}};
}
RenderedPrompt typed(const std::string& text) {
  return {text, {{0, text.size()}}};
}

class GoldenTokenizer : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTokenizer, HasTheReferencesIdsAndTexts) {
  const auto tokenizer = load(GetParam());
  for (const auto& expected : read_json(golden("text") / GetParam() / "expected.json")) {
    const auto text = expected["text"].get<std::string>();
    const auto ids = expected["ids"].get<Ids>();
    EXPECT_EQ(tokenizer->encode(text, false), ids) << text;
    EXPECT_EQ(tokenizer->encode(trusted(text)), ids) << text;
    EXPECT_EQ(tokenizer->decode(ids, {}), expected["decoded"].get<std::string>()) << text;
  }
}

// An empty plain span at the end sends the prompt through our own search for added tokens.
TEST_P(GoldenTokenizer, FindsAddedTokensInARenderedPromptAsInAText) {
  const auto tokenizer = load(GetParam());
  for (const auto& expected : read_json(golden("text") / GetParam() / "expected.json")) {
    const auto text = expected["text"].get<std::string>();
    const RenderedPrompt prompt{text, {{text.size(), text.size()}}};
    EXPECT_EQ(tokenizer->encode(prompt), expected["ids"].get<Ids>()) << text;
  }
}

TEST_P(GoldenTokenizer, MakesNoSpecialTokenOfPlainText) {
  const auto tokenizer = load(GetParam());
  for (const auto& special : tokenizer->special_tokens()) {
    const Ids template_ids = tokenizer->encode(trusted("a" + special + "b"));
    EXPECT_TRUE(std::ranges::count_if(template_ids, [&](TokenId id) { return tokenizer->is_special(id); }) ==
                1)
        << special;
    const Ids typed_ids = tokenizer->encode(typed("a" + special + "b"));
    EXPECT_TRUE(std::ranges::none_of(typed_ids, [&](TokenId id) { return tokenizer->is_special(id); }))
        << special;
    const RenderedPrompt both{special + special, {{0, special.size()}}};
    const Ids ids = tokenizer->encode(both);
    EXPECT_EQ(ids.back(), tokenizer->token_to_id(special)) << special;
    EXPECT_EQ(std::ranges::count_if(ids, [&](TokenId id) { return tokenizer->is_special(id); }), 1)
        << special;
  }
}

TEST_P(GoldenTokenizer, NamesItsTokens) {
  const auto tokenizer = load(GetParam());
  EXPECT_EQ(tokenizer->id_to_token(-1), "");
  EXPECT_EQ(tokenizer->id_to_token(tokenizer->vocab_size()), "");
  EXPECT_EQ(tokenizer->decode(Ids{-1, tokenizer->vocab_size(), INT32_MAX}, {}), "");
  for (TokenId id = 0; id < tokenizer->vocab_size(); ++id)
    EXPECT_EQ(tokenizer->token_to_id(tokenizer->id_to_token(id)), id);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTokenizer,
                         ::testing::Values("sentencepiece", "sentencepiece_prefix", "byte_level",
                                           "byte_fallback"),
                         [](const auto& instance) { return instance.param; });

TEST(SentencePieceTokenizer, ReplacesPiecesByAddedTokens) {
  const auto tokenizer = load("sentencepiece");
  const TokenId id = tokenizer->token_to_id("<|im_start|>").value();
  EXPECT_EQ(tokenizer->encode("<|im_start|>", false), Ids{id});
  EXPECT_EQ(tokenizer->decode(Ids{id}, {.skip_special_tokens = false}), "<|im_start|>");
  EXPECT_EQ(tokenizer->decode(Ids{id}, {}), "");
  EXPECT_EQ(tokenizer->token_to_id("[UNUSED_TOKEN_146]"), std::nullopt);
  const Ids old = tokenizer->encode("[UNUSED_TOKEN_146]", false);
  EXPECT_GT(old.size(), 1U);
  EXPECT_EQ(tokenizer->decode(old, {}), "[UNUSED_TOKEN_146]");
}

TEST(SentencePieceTokenizer, PutsOneBos) {
  const auto tokenizer = load("sentencepiece");
  const TokenId bos = tokenizer->bos_id().value();
  EXPECT_EQ(tokenizer->encode("", true), Ids{bos});
  EXPECT_EQ(tokenizer->encode("<s>", true), Ids{bos});
  EXPECT_EQ(tokenizer->encode("the", true).front(), bos);
  EXPECT_EQ(tokenizer->encode("<s>the", true), tokenizer->encode("the", true));
  EXPECT_EQ(tokenizer->encode(trusted("<s>the")), tokenizer->encode("the", true));
}

TEST(TokenizerJson, PutsOneBos) {
  const auto tokenizer = load("byte_fallback");
  const TokenId bos = tokenizer->bos_id().value();
  EXPECT_EQ(tokenizer->encode("the", true).front(), bos);
  const Ids ids = tokenizer->encode("<s>the", true);
  EXPECT_EQ(std::ranges::count(ids, bos), 1);
  EXPECT_EQ(std::ranges::count(tokenizer->encode("the", false), bos), 0);
}

TEST(TokenizerJson, KeepsTheWholeCharactersOfADamagedRunOfBytes) {
  const auto tokenizer = load("byte_fallback");
  Ids ids;
  for (const char* byte : {"<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "<0xE4>", "<0xBD>"})
    ids.push_back(tokenizer->token_to_id(byte).value());
  EXPECT_EQ(tokenizer->decode(ids, {}), "你\uFFFD\uFFFD\uFFFD");
}

TEST(TokenizerJson, RefusesTextThatIsNotUtf8) {
  EXPECT_THROW(load("byte_level")->encode("a\xFF", false), Error);
}

TEST(TokenizerJson, ObeysAddBosTokenOfTheConfiguration) {
  const TempFolder folder;
  folder.write("tokenizer.json", read(golden("text") / "byte_fallback" / "tokenizer.json"));
  folder.write("tokenizer_config.json", R"({"add_bos_token": false, "bos_token": "<s>"})");
  const auto tokenizer = Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer->encode("the", true), tokenizer->encode("the", false));
}

struct Damage {
  std::string name;
  std::string file;
  std::string text;
};

class DamagedFolder : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedFolder, IsAnError) {
  const TempFolder folder;
  if (!GetParam().file.empty()) folder.write(GetParam().file, GetParam().text);
  if (GetParam().file == "tokenizer_config.json")
    folder.write("tokenizer.json", read(golden("text") / "byte_level" / "tokenizer.json"));
  EXPECT_THROW(Tokenizer::load(folder.path()), Error);
}

INSTANTIATE_TEST_SUITE_P(
    All, DamagedFolder,
    ::testing::Values(
        Damage{"no_file", "", ""}, Damage{"empty_json", "tokenizer.json", ""},
        Damage{"json_list", "tokenizer.json", "[]"},
        Damage{"no_model", "tokenizer.json", R"({"version": "1.0"})"},
        Damage{"unknown_model", "tokenizer.json", R"({"version": "1.0", "model": {"type": "Magic"}})"},
        Damage{"bad_merges", "tokenizer.json",
               R"({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}})"},
        Damage{"bad_regex", "tokenizer.json",
               R"({"version": "1.0", "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(("},
                   "behavior": "Isolated", "invert": false}, "model": {"type": "BPE", "vocab": {}, "merges": []}})"},
        Damage{"bos_outside_the_vocabulary", "tokenizer.json",
               R"({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
                   "post_processor": {"type": "TemplateProcessing", "pair": [],
                     "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                     "special_tokens": {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]}}}})"},
        Damage{"deep_json", "tokenizer.json", std::string(100000, '[')},
        Damage{"not_utf8", "tokenizer.json", "\"\xFF\""},
        Damage{"git_lfs", "tokenizer.json",
               "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"},
        Damage{"empty_model", "tokenizer.model", ""},
        Damage{"text_model", "tokenizer.model", "not a model at all"},
        Damage{"cut_model", "tokenizer.model",
               read(golden("text") / "sentencepiece" / "tokenizer.model").substr(0, 500)},
        Damage{"endless_varint", "tokenizer.model", std::string(20, '\xFF')},
        Damage{"config_list", "tokenizer_config.json", "[]"},
        Damage{"config_cut", "tokenizer_config.json", "{\"a\":"},
        Damage{"config_id", "tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})"},
        Damage{"config_huge_id", "tokenizer_config.json",
               R"({"added_tokens_decoder": {"99999999999": {"content": "a"}}})"}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace lmdeploy
