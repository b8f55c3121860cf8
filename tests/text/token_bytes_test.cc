#include "text/token_bytes.h"

#include <gtest/gtest.h>

#include "golden.h"

namespace lmdeploy {
namespace {

std::unique_ptr<Tokenizer> load(const std::string& name) {
  return Tokenizer::load(::lmdeploy::testing::golden("text") / name);
}

class TokenBytes : public ::testing::TestWithParam<std::string> {};

TEST_P(TokenBytes, AddUpToTheText) {
  const auto tokenizer = load(GetParam());
  const std::string text = "从前有一个小女孩 👍🏽 déjà vu\n\n  the end\t<tag> 12345 \xEF\xBF\xBD ";
  std::string bytes;
  for (const TokenId id : tokenizer->encode(text, false)) bytes += token_bytes(*tokenizer, id);
  // SentencePiece may put a space before the first word, which decoding drops again.
  EXPECT_TRUE(bytes == text || bytes == " " + text) << bytes;
}

TEST_P(TokenBytes, OfEveryTokenExist) {
  const auto tokenizer = load(GetParam());
  for (TokenId id = 0; id < tokenizer->vocab_size(); ++id) {
    const std::string bytes = token_bytes(*tokenizer, id);
    EXPECT_EQ(bytes.empty(), tokenizer->id_to_token(id).empty()) << id;
    if (!tokenizer->is_special(id)) continue;
    EXPECT_EQ(bytes, tokenizer->id_to_token(id));
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenBytes,
                         ::testing::Values("sentencepiece", "sentencepiece_prefix", "byte_level",
                                           "byte_fallback"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace lmdeploy
