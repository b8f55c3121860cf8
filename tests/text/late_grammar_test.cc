#include "text/late_grammar.h"

#include <gtest/gtest.h>

#include <array>

namespace lmdeploy {
namespace {

class LateGrammar : public ::testing::Test {
 protected:
  using Start = ReasoningStart;

  TokenId id(std::string_view token) const { return *tokenizer_->token_to_id(token); }
  TokenId eos() const { return id("<|im_end|>"); }

  // Whether a mask of the form "ab" lets the tokens of `text` and then the end pass.
  bool takes(Start start, std::string_view text) {
    const std::array<std::string, 1> choices{"ab"};
    const auto mask =
        after_reasoning(*tokenizer_, {eos()}, start, compiler_.compile(choice_grammar(choices)))->begin();
    auto ids = tokenizer_->encode(text, false);
    ids.push_back(eos());
    for (const TokenId token : ids) {
      std::vector<std::uint32_t> words(static_cast<std::size_t>(tokenizer_->vocab_size() + 31) / 32);
      mask->fill(words);
      if ((words[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1) == 0) return false;
      mask->accept(token);
    }
    return true;
  }

  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(LMDEPLOY_SOURCE_DIR "/tests/server/data/bytes");
  GrammarCompiler compiler_{*tokenizer_, {*tokenizer_->token_to_id("<|im_end|>")}};
};

TEST_F(LateGrammar, binds_what_comes_behind_the_reasoning) {
  EXPECT_TRUE(takes(Start::open, "free text</think>ab"));
  EXPECT_TRUE(takes(Start::open, "</think>\nab"));
  EXPECT_FALSE(takes(Start::open, "free text</think>x"));
  EXPECT_FALSE(takes(Start::open, "</think>\n\nab"));  // one token of white space
  EXPECT_FALSE(takes(Start::open, "free text"));       // the reasoning has to be closed
  EXPECT_FALSE(takes(Start::open, "ab"));
}

TEST_F(LateGrammar, leaves_it_to_the_answer_whether_it_thinks) {
  EXPECT_TRUE(takes(Start::undecided, "ab"));
  EXPECT_TRUE(takes(Start::undecided, "<think>why</think>ab"));
  EXPECT_FALSE(takes(Start::undecided, "a<think>"));
  EXPECT_FALSE(takes(Start::undecided, "why"));
}

TEST_F(LateGrammar, binds_all_where_the_prompt_has_closed_the_reasoning) {
  EXPECT_TRUE(takes(Start::closed, "ab"));
  EXPECT_FALSE(takes(Start::closed, "<think>why</think>ab"));
}

}  // namespace
}  // namespace lmdeploy
