#include "text/grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>

#include "golden.h"
#include "toy_tokenizer.h"

namespace lmdeploy {
namespace {

using ::testing::HasSubstr;
using testing::ToyTokenizer;
using ::testing::UnorderedElementsAreArray;

using Ids = std::vector<TokenId>;

Ids allowed(TokenMask& mask, std::int32_t vocab_size) {
  std::vector<std::uint32_t> words(static_cast<std::size_t>((vocab_size + 31) / 32));
  mask.fill(words);
  Ids ids;
  for (TokenId id = 0; id < vocab_size; id++)
    if ((words[static_cast<std::size_t>(id) / 32] >> (id % 32) & 1) != 0) ids.push_back(id);
  return ids;
}

// What a language of these words allows behind `text`, found by trying every token.
Ids allowed_by_trying(const ToyTokenizer& tokenizer, const std::set<std::string>& language,
                      const std::string& text) {
  Ids ids;
  const auto begins_word = [&](const std::string& beginning) {
    const auto word = language.lower_bound(beginning);
    return word != language.end() && word->starts_with(beginning);
  };
  for (TokenId id = 0; id < tokenizer.vocab_size(); id++) {
    const bool ends = id == tokenizer.eos_id() && language.contains(text);
    const bool goes_on = !tokenizer.is_special(id) && begins_word(text + tokenizer.id_to_token(id));
    if (ends || goes_on) ids.push_back(id);
  }
  return ids;
}

// Every way through the grammar.
void expect_masks_of(const GrammarSpec& spec, const std::set<std::string>& language) {
  const ToyTokenizer tokenizer;
  GrammarCompiler compiler(tokenizer, {*tokenizer.eos_id()});
  const auto grammar = compiler.compile(spec);
  std::vector<Ids> paths = {{}};
  int num_states = 0;
  while (!paths.empty()) {
    const Ids path = paths.back();
    paths.pop_back();
    const auto mask = grammar->begin();
    std::string text;
    for (const TokenId id : path) {
      allowed(*mask, tokenizer.vocab_size());
      mask->accept(id);
      text += tokenizer.id_to_token(id);
    }
    const Ids expected = allowed_by_trying(tokenizer, language, text);
    ASSERT_THAT(allowed(*mask, tokenizer.vocab_size()), UnorderedElementsAreArray(expected))
        << "behind " << text;
    for (const TokenId id : expected) {
      if (id == tokenizer.eos_id()) continue;
      paths.push_back(path);
      paths.back().push_back(id);
    }
    ASSERT_LT(++num_states, 5000);
  }
  EXPECT_GT(num_states, 3);
}

TEST(GrammarMasks, OfChoicesAreThoseOfEveryToken) {
  const std::vector<std::string> choices = {"a", "ab", "abc", "cab", "bb\"b", "ba/c"};
  expect_masks_of(choice_grammar(choices), {choices.begin(), choices.end()});
}

TEST(GrammarMasks, OfARegexAreThoseOfEveryToken) {
  std::set<std::string> language;
  for (const char* first : {"a", "bc"})
    for (const char* middle : {"", "/", "//"})
      for (const char* last : {"", "c", "cc"}) language.insert(std::string(first) + middle + last);
  expect_masks_of(regex_grammar("^(a|bc)/{0,2}c{0,2}$"), language);
}

TEST(GrammarMasks, OfASchemaAreThoseOfEveryToken) {
  expect_masks_of(json_schema_grammar(R"({"enum": ["ab", "abc", "", 1, null]})"),
                  {R"("ab")", R"("abc")", R"("")", "1", "null"});
}

TEST(GrammarMasks, OfLarkAreThoseOfEveryToken) {
  expect_masks_of(
      lark_grammar("start: \"a\" list?\nlist: \"(\" ITEM (\",\" ITEM)? \")\"\nITEM: \"b\" | \"c\"\n"),
      {"a", "a(b)", "a(c)", "a(b,b)", "a(b,c)", "a(c,b)", "a(c,c)"});
}

class GrammarTest : public ::testing::Test {
 protected:
  // Whether the grammar takes `text` in tokens of one character each, and may then end.
  bool takes(const GrammarSpec& spec, std::string_view text) {
    const auto mask = compiler_.compile(spec)->begin();
    for (const Ids ids = tokenizer_.encode_characters(text); const TokenId id : ids) {
      const Ids may_come = allowed(*mask, tokenizer_.vocab_size());
      if (std::ranges::find(may_come, id) == may_come.end()) return false;
      mask->accept(id);
    }
    const Ids may_come = allowed(*mask, tokenizer_.vocab_size());
    return std::ranges::find(may_come, *tokenizer_.eos_id()) != may_come.end();
  }

  std::string problem_of(const GrammarSpec& spec) {
    try {
      compiler_.compile(spec);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  const ToyTokenizer tokenizer_;
  GrammarCompiler compiler_{tokenizer_, {*tokenizer_.eos_id()}};
};

TEST_F(GrammarTest, NothingButItsEndComesBehindAWholeAnswer) {
  const auto mask = compiler_.compile(choice_grammar(std::vector<std::string>{"ab"}))->begin();
  std::vector<std::uint32_t> words(8);
  EXPECT_TRUE(mask->fill(words));
  mask->accept(tokenizer_.encode_characters("a").front());
  EXPECT_TRUE(mask->fill(words));
  mask->accept(tokenizer_.encode_characters("b").front());
  EXPECT_FALSE(mask->fill(words));
  mask->accept(*tokenizer_.eos_id());
  EXPECT_FALSE(mask->fill(words));
}

TEST_F(GrammarTest, AMaskOfAnotherLengthThanTheVocabularyIsFilledAsFarAsItGoes) {
  const auto grammar = compiler_.compile(choice_grammar(std::vector<std::string>{"ab"}));
  std::vector<std::uint32_t> longer(100, ~0U), shorter(1, ~0U);
  grammar->begin()->fill(longer);
  grammar->begin()->fill(shorter);
  EXPECT_EQ(longer[0], shorter[0]);
  EXPECT_EQ(std::ranges::count(std::span(longer).subspan(20), 0U), 80);
}

TEST_F(GrammarTest, AnswersOfOneGrammarDoNotDisturbEachOther) {
  const auto grammar = compiler_.compile(choice_grammar(std::vector<std::string>{"ab", "ca"}));
  const auto first = grammar->begin(), second = grammar->begin();
  const Ids before = allowed(*second, tokenizer_.vocab_size());
  first->accept(tokenizer_.encode_characters("a").front());
  EXPECT_EQ(allowed(*second, tokenizer_.vocab_size()), before);
  EXPECT_NE(allowed(*first, tokenizer_.vocab_size()), before);
}

TEST_F(GrammarTest, ATokenThatIsNotAllowedIsRefused) {
  const auto mask = compiler_.compile(choice_grammar(std::vector<std::string>{"ab"}))->begin();
  EXPECT_THROW(mask->accept(tokenizer_.encode_characters("b").front()), Error);
  std::vector<std::uint32_t> words(8);
  EXPECT_THROW(mask->fill(words), Error);
}

TEST_F(GrammarTest, WhiteSpaceInJsonIsBounded) {
  const GrammarSpec spec = json_schema_grammar(R"({"type": "array", "items": {"const": 1}})");
  EXPECT_TRUE(takes(spec, "[1,1]"));
  EXPECT_TRUE(takes(spec, "[\n  1,\n  1\n]"));
  EXPECT_TRUE(takes(spec, "[" + std::string(32, ' ') + "1]"));
  EXPECT_FALSE(takes(spec, "[" + std::string(33, ' ') + "1]"));
  EXPECT_FALSE(takes(spec, "[\n\n1]"));
  EXPECT_FALSE(takes(spec, " [1]"));
  EXPECT_FALSE(takes(spec, "[1] "));
}

TEST_F(GrammarTest, LarkEmbedsSchemas) {
  const GrammarSpec spec{"start: \"a\" @one \"b\" @two\n",
                         {{"one", R"({"const": 1})"}, {"two", R"({"type": "null"})"}}};
  EXPECT_TRUE(takes(spec, "a1bnull"));
  EXPECT_FALSE(takes(spec, "anullb1"));
}

TEST_F(GrammarTest, TextIsFreeUpToATrigger) {
  StructuralTags tags{.triggers = {"<c"},
                      .tags = {{"<ca>", R"({"const": 1})", "", "</c>"}, {"<cb>", "", "\"b\"", ";"}}};
  const GrammarSpec spec = structural_tags_grammar(tokenizer_, tags);
  EXPECT_TRUE(takes(spec, ""));
  EXPECT_TRUE(takes(spec, "abc <a"));
  EXPECT_TRUE(takes(spec, "ab<ca>1</c>"));
  EXPECT_TRUE(takes(spec, "<ca>1</c>abc<cb>b;<cb>b;a"));
  EXPECT_FALSE(takes(spec, "ab<ca>2</c>"));
  EXPECT_FALSE(takes(spec, "ab<cc"));
  EXPECT_FALSE(takes(spec, "ab<ca>1"));
  tags.stop_after_first = true;
  EXPECT_TRUE(takes(structural_tags_grammar(tokenizer_, tags), "ab<ca>1</c>"));
  EXPECT_TRUE(takes(structural_tags_grammar(tokenizer_, tags), "ab"));
  EXPECT_FALSE(takes(structural_tags_grammar(tokenizer_, tags), "ab<ca>1</c>a"));
  tags.at_least_one = true;
  EXPECT_TRUE(takes(structural_tags_grammar(tokenizer_, tags), "<ca>1</c>"));
  EXPECT_FALSE(takes(structural_tags_grammar(tokenizer_, tags), "ab"));
  EXPECT_FALSE(takes(structural_tags_grammar(tokenizer_, tags), "ab<ca>1</c>"));
  tags.stop_after_first = false;
  EXPECT_TRUE(takes(structural_tags_grammar(tokenizer_, tags), "<ca>1</c>ab<ca>1</c>ab"));
}

TEST_F(GrammarTest, ATriggerMayBeASpecialToken) {
  const StructuralTags tags{.triggers = {"<|tool|>"},
                            .tags = {{"<|tool|>a", R"({"const": 1})", "", "<|end|>"}}};
  const GrammarSpec spec = structural_tags_grammar(tokenizer_, tags);
  const auto mask = compiler_.compile(spec)->begin();
  for (const TokenId id : tokenizer_.encode_characters("b<|tool|>")) mask->accept(id);  // as text
  mask->accept(*tokenizer_.token_to_id("<|tool|>"));
  EXPECT_EQ(allowed(*mask, tokenizer_.vocab_size()), Ids{tokenizer_.encode_characters("a")});
  mask->accept(tokenizer_.encode_characters("a").front());
  mask->accept(tokenizer_.encode_characters("1").front());
  EXPECT_EQ(allowed(*mask, tokenizer_.vocab_size()), Ids{*tokenizer_.token_to_id("<|end|>")});
}

TEST_F(GrammarTest, TagsWithoutTheirTriggersAreErrors) {
  EXPECT_THROW(structural_tags_grammar(tokenizer_, {}), Error);
  EXPECT_THROW(structural_tags_grammar(tokenizer_, {.triggers = {"<b"}, .tags = {{"<a>", "{}", "", ""}}}),
               Error);
  EXPECT_THROW(
      structural_tags_grammar(tokenizer_, {.triggers = {"<a", "<b"}, .tags = {{"<a>", "{}", "", ""}}}),
      Error);
  EXPECT_THROW(structural_tags_grammar(tokenizer_, {.triggers = {""}, .tags = {{"<a>", "{}", "", ""}}}),
               Error);
}

TEST_F(GrammarTest, KeywordsThatAreNotSupportedAreNamed) {
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"type": "array", "uniqueItems": true})")),
              HasSubstr("uniqueItems"));
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"not": {"type": "null"}})")), HasSubstr("not"));
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"if": {}, "then": {}})")), HasSubstr("if"));
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"x-guidance": {"lenient": true}})")),
              HasSubstr("x-guidance"));
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"type": "string", "format": "colour"})")),
              HasSubstr("colour"));
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"type": "int"})")), HasSubstr("int"));
  EXPECT_THAT(problem_of(json_schema_grammar(R"({"oneOf": [{"type": "string"}, {"minLength": 2}]})")),
              HasSubstr("oneOf"));
  EXPECT_THAT(problem_of(lark_grammar("start[temperature=0.5]: /a+/\n")), HasSubstr("temperature="));
  EXPECT_THAT(problem_of(lark_grammar("start[stop=\"b\"]: /a+/\n")), HasSubstr("stop="));
}

TEST_F(GrammarTest, WhatNoAnswerFulfilsIsAnError) {
  EXPECT_THAT(problem_of(json_schema_grammar("false")), HasSubstr("false"));
  EXPECT_NE(problem_of(json_schema_grammar(R"({"type": "integer", "minimum": 2, "maximum": 1})")), "");
  EXPECT_NE(problem_of(json_schema_grammar("[1")), "");
  EXPECT_NE(problem_of(json_schema_grammar("3")), "");
  EXPECT_NE(problem_of(lark_grammar("start: <|nothing|>\n")), "");
  EXPECT_NE(problem_of(lark_grammar("begin: \"a\"\n")), "");
  EXPECT_NE(problem_of(lark_grammar("start ::= \"a\"\n")), "");
  EXPECT_NE(problem_of(regex_grammar("(a")), "");
  EXPECT_NE(problem_of(regex_grammar("(?<!a)b")), "");
  EXPECT_THROW(regex_grammar(""), Error);
  EXPECT_THROW(regex_grammar("^$"), Error);
  EXPECT_THROW(lark_grammar(" \n"), Error);
  EXPECT_THROW(choice_grammar({}), Error);
  EXPECT_THROW(choice_grammar(std::vector<std::string>{"a", ""}), Error);
  EXPECT_THROW(choice_grammar(std::vector<std::string>{"\xff"}), Error);
}

std::string repeated(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; i++) all += text;
  return all;
}

std::string nested(const std::string& begin, const std::string& middle, const std::string& end, int depth) {
  return repeated(begin, depth) + middle + repeated(end, depth);
}

TEST_F(GrammarTest, HostileSpecificationsEndInTime) {
  const auto within = [&](const GrammarSpec& spec) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string problem = problem_of(spec);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5)) << spec.lark.substr(0, 50);
    return problem;
  };
  EXPECT_NE(within(json_schema_grammar(nested(R"({"items":)", "{}", "}", 10000))), "");
  EXPECT_NE(within(json_schema_grammar(nested(R"({"items":)", "{}", "}", 65))), "");
  EXPECT_EQ(within(json_schema_grammar(nested(R"({"items":)", "{}", "}", 60))), "");
  within(json_schema_grammar(R"({"$ref": "#"})"));
  EXPECT_EQ(within(json_schema_grammar(R"({"type": "object", "properties": {"a": {"$ref": "#"}}})")), "");
  EXPECT_NE(within(json_schema_grammar(R"({"$ref": "http://127.0.0.1:1/schema.json"})")), "");
  EXPECT_NE(within(json_schema_grammar(R"({"$ref": "file:///etc/passwd"})")), "");
  within(json_schema_grammar(R"({"type": "array", "maxItems": 1000000000})"));
  within(json_schema_grammar(R"({"type": "array", "minItems": 1000000000})"));
  within(json_schema_grammar(R"({"type": "string", "maxLength": 1000000000})"));
  within(json_schema_grammar(R"({"type": "string", "pattern": "(a+)+b"})"));
  EXPECT_NE(within(json_schema_grammar(R"({"enum": [)" + repeated("1,", 200000) + "1]}")), "");
  within(json_schema_grammar(R"({"enum": [)" + repeated("\"abcdefghijklmnopqrstuv\",", 10000) + "1]}"));
  within(regex_grammar("(a+)+b"));
  within(regex_grammar("((a{1,1000}){1,1000}){1,1000}"));
  EXPECT_NE(within(regex_grammar(nested("(", "a", ")", 100000))), "");
  EXPECT_NE(within(lark_grammar("start: " + nested("(", "\"a\"", ")", 100000) + "\n")), "");
  EXPECT_NE(within(lark_grammar("start: " + nested("(", "\"a\"", ")", 65) + "\n")), "");
  within(lark_grammar("start: start \"a\" | \"b\"\n"));
  EXPECT_NE(within(lark_grammar("start: start\n")), "");
  within(lark_grammar("start: (\"a\" start)* | start start\n"));
  std::string chain;
  for (int i = 0; i < 10000; i++) chain += fmt::format("r{}: r{} \"a\"\n", i, i + 1);
  within(lark_grammar("start: r0\nr10000: \"a\"\n" + chain));
}

TEST_F(GrammarTest, ALimitOfTimeHolds) {
  GrammarCompiler hasty(tokenizer_, {*tokenizer_.eos_id()},
                        {.max_compile_time = std::chrono::milliseconds(0)});
  std::string lark = "start: \"a\"";
  for (int i = 0; i < 2000; i++) lark += fmt::format(" | \"{}b\" /[a-z]{{1,{}}}/", i, i + 1);
  EXPECT_THROW(hasty.compile(lark_grammar(lark + "\n")), Error);
}

TEST_F(GrammarTest, TheSameIsCompiledOnce) {
  const GrammarSpec spec = json_object_grammar();
  const auto first = compiler_.compile(spec);
  EXPECT_EQ(compiler_.compile(spec), first);
  EXPECT_NE(compiler_.compile(json_schema_grammar("{}")), first);
}

TEST_F(GrammarTest, TheCacheIsBounded) {
  constexpr std::size_t kMaxBytes = 4 << 20;
  GrammarCompiler compiler(tokenizer_, {*tokenizer_.eos_id()}, {.max_cache_bytes = kMaxBytes});
  const auto used = compiler.compile(json_object_grammar());
  for (int i = 0; i < 1000; i++) {
    compiler.compile(json_schema_grammar(fmt::format(R"({{"const": {}}})", i)));
    ASSERT_LE(compiler.num_cache_bytes(), kMaxBytes);
    ASSERT_EQ(compiler.compile(json_object_grammar()), used) << "used last, but dropped";
  }
  EXPECT_GT(compiler.num_cache_bytes(), kMaxBytes / 2);
}

TEST_F(GrammarTest, CompilesOnAThreadOfItsOwn) {
  std::promise<GrammarCompiler::Compiled> good, bad;
  compiler_.compile(json_object_grammar(), [&](auto compiled) { good.set_value(std::move(compiled)); });
  compiler_.compile(json_schema_grammar("false"), [&](auto compiled) { bad.set_value(std::move(compiled)); });
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<const Grammar>>(good.get_future().get()));
  EXPECT_TRUE(std::holds_alternative<Error>(bad.get_future().get()));
}

class GrammarOfTokenizer : public ::testing::TestWithParam<std::string> {};

// What the tokenizer makes of a text that the grammar takes goes through, whole.
TEST_P(GrammarOfTokenizer, TakesTheTokensOfATextThatFits) {
  const auto tokenizer = Tokenizer::load(testing::golden("text") / GetParam());
  const TokenId eos = tokenizer->eos_id().value_or(0);
  GrammarCompiler compiler(*tokenizer, {eos});
  const std::string text = R"({"name": "José 👍🏽", "tags": ["a b", "\n"], "n": -1.5e3})";
  const auto mask = compiler.compile(lark_grammar("start: \" \"? %json {}\n"))->begin();
  for (const TokenId id : tokenizer->encode(text, false)) {
    const Ids may_come = allowed(*mask, tokenizer->vocab_size());
    ASSERT_TRUE(std::ranges::binary_search(may_come, id)) << tokenizer->id_to_token(id);
    mask->accept(id);
  }
  EXPECT_EQ(allowed(*mask, tokenizer->vocab_size()), Ids{eos});
}

INSTANTIATE_TEST_SUITE_P(All, GrammarOfTokenizer,
                         ::testing::Values("sentencepiece", "sentencepiece_prefix", "byte_level",
                                           "byte_fallback"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace lmdeploy
