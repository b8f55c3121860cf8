// Whatever a model draws within the grammar of a forced call is a call that parses and fits.
#include "server/tool_grammar.h"

#include <gtest/gtest.h>

#include <random>

#include "text/tool_calls.h"

namespace lmdeploy {
namespace {

ToolUse tools(const std::string& choice) {
  const Json body{{"tools", Json::parse(R"([
      {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {
          "a": {"type": "int"}, "unit": {"enum": ["m", "}\""]}}, "required": ["a", "unit"]}}},
      {"type": "function", "function": {"name": "now"}}])")}};
  JsonFields fields(body, "");
  ToolUse use = parse_tool_use(fields, {});
  use.choice = choice == "required" ? ToolUse::Choice::required
               : choice == "auto"   ? ToolUse::Choice::automatic
                                    : ToolUse::Choice::named;
  if (use.choice == ToolUse::Choice::named) use.named = choice;
  use.parallel = choice == "auto";
  return use;
}

class ToolGrammar : public ::testing::TestWithParam<ToolFormat> {
 protected:
  std::shared_ptr<const Grammar> grammar(const std::string& choice) {
    return compiler_.compile(
        structural_tags_grammar(*tokenizer_, tool_tags(GetParam(), *tokenizer_, tools(choice))));
  }
  TokenId eos() const { return *tokenizer_->token_to_id("<|im_end|>"); }

  std::vector<TokenId> allowed(TokenMask& mask) const {
    std::vector<std::uint32_t> words(static_cast<std::size_t>(tokenizer_->vocab_size() + 31) / 32);
    mask.fill(words);
    std::vector<TokenId> ids;
    for (TokenId id = 0; id < tokenizer_->vocab_size(); ++id)
      if ((words[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0) ids.push_back(id);
    return ids;
  }

  // Tokens drawn evenly from those that may come, to the end.
  std::string drawn(const Grammar& grammar) {
    const auto mask = grammar.begin();
    std::vector<TokenId> ids;
    while (ids.size() < 1000) {
      const auto choices = allowed(*mask);
      EXPECT_FALSE(choices.empty());
      const TokenId id = choices[random_() % choices.size()];
      if (id == eos()) return tokenizer_->decode(ids, {.skip_special_tokens = false});
      ids.push_back(id);
      mask->accept(id);
    }
    ADD_FAILURE() << "no end";
    return {};
  }

  bool takes(const Grammar& grammar, std::string_view text) const {
    const auto mask = grammar.begin();
    for (const TokenId id : tokenizer_->encode(text, false)) {
      const auto choices = allowed(*mask);
      if (std::ranges::find(choices, id) == choices.end()) return false;
      mask->accept(id);
    }
    return true;
  }

  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(LMDEPLOY_SOURCE_DIR "/tests/server/data/bytes");
  GrammarCompiler compiler_{*tokenizer_, {*tokenizer_->token_to_id("<|im_end|>")}};
  std::mt19937 random_{7};
};

TEST_P(ToolGrammar, forced_calls_parse_and_fit) {
  for (const std::string choice : {"required", "add", "now"}) {
    const auto compiled = grammar(choice);
    for (int i = 0; i < 40; ++i) {
      const std::string text = drawn(*compiled);
      ToolCallParser parser({.format = &GetParam(), .names = {"add", "now"}});
      auto [content, calls] = parser.feed(text);
      content += parser.finish().content;
      ASSERT_EQ(calls.size(), 1U) << text;
      EXPECT_EQ(content, "") << text;
      EXPECT_TRUE(parser.all_whole()) << text;
      if (choice != "required") {
        EXPECT_EQ(calls[0].name, choice);
      }
      const Json arguments = Json::parse(calls[0].arguments);
      if (calls[0].name == "now") {
        EXPECT_EQ(arguments, Json::object());
      } else {
        EXPECT_TRUE(arguments["a"].is_number_integer()) << text;
        EXPECT_TRUE(arguments["unit"] == "m" || arguments["unit"] == "}\"") << text;
        EXPECT_EQ(arguments.size(), 2U);
      }
    }
  }
}

TEST_P(ToolGrammar, text_is_free_until_a_call_begins) {
  const auto compiled = grammar("auto");
  const CallText around = call_text(GetParam(), "add");
  EXPECT_TRUE(takes(*compiled, "Any {text} <at> [all]."));
  EXPECT_TRUE(
      takes(*compiled, "First. " + around.before + R"({"a": 1, "unit": "m"})" + around.behind + " Then."));
  EXPECT_FALSE(takes(*compiled, around.before + R"({"a": "one")"));
  EXPECT_FALSE(takes(*compiled, around.before + R"({"b": 1)"));
  EXPECT_FALSE(takes(*compiled, call_text(GetParam(), "sub").before));
}

INSTANTIATE_TEST_SUITE_P(Formats, ToolGrammar, ::testing::ValuesIn(tool_formats()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace lmdeploy
