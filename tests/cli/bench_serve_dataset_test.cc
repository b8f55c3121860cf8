#include "cli/bench_serve_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/error.h"

namespace lmdeploy::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

const fs::path kTexts = LMDEPLOY_SOURCE_DIR "/tests/golden/text";

class RandomPromptsOf : public ::testing::TestWithParam<const char*> {};

TEST_P(RandomPromptsOf, TokeniseToTheLengthThatWasAskedFor) {
  const auto tokenizer = Tokenizer::load(kTexts / GetParam());
  std::set<std::string> texts;
  for (const std::int64_t len : {2, 7, 64, 333}) {
    for (const BenchPrompt& prompt : make_random_prompts(*tokenizer, {.input_len = len}, 8, 5)) {
      EXPECT_EQ(prompt.prompt_len, len);
      EXPECT_EQ(std::ssize(tokenizer->encode(prompt.text, true)), len) << prompt.text;
      texts.insert(prompt.text);
    }
  }
  EXPECT_GT(texts.size(), 20U);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, RandomPromptsOf,
                         ::testing::Values("byte_level", "byte_fallback", "sentencepiece",
                                           "sentencepiece_prefix"));

class DatasetTest : public ::testing::Test {
 protected:
  fs::path write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  ~DatasetTest() override { fs::remove(path_); }

  std::string failure(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "it did not fail";
  }

  fs::path path_ =
      fs::path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(kTexts / "byte_level");
};

TEST_F(DatasetTest, RandomLengthsFillTheirRange) {
  std::set<std::int64_t> inputs, outputs;
  for (const BenchPrompt& prompt :
       make_random_prompts(*tokenizer_, {.input_len = 20, .output_len = 10, .range_ratio = 0.5}, 400, 1)) {
    inputs.insert(prompt.prompt_len);
    outputs.insert(prompt.output_len);
    EXPECT_EQ(std::ssize(tokenizer_->encode(prompt.text, true)), prompt.prompt_len);
  }
  EXPECT_EQ(*inputs.begin(), 10);
  EXPECT_EQ(*inputs.rbegin(), 30);
  EXPECT_EQ(*outputs.begin(), 5);
  EXPECT_EQ(*outputs.rbegin(), 15);
}

TEST_F(DatasetTest, RandomPromptsShareTheirPrefixOnly) {
  const auto prompts = make_random_prompts(*tokenizer_, {.input_len = 8, .prefix_len = 12}, 2, 1);
  const auto first = tokenizer_->encode(prompts[0].text, true);
  const auto second = tokenizer_->encode(prompts[1].text, true);
  ASSERT_EQ(first.size(), 20U);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 12, second.begin()));
  EXPECT_FALSE(std::equal(first.begin() + 12, first.end(), second.begin() + 12));
}

TEST_F(DatasetTest, TheSeedDecides) {
  const RandomPrompts shape{.input_len = 16};
  EXPECT_EQ(make_random_prompts(*tokenizer_, shape, 3, 1)[2].text,
            make_random_prompts(*tokenizer_, shape, 3, 1)[2].text);
  EXPECT_NE(make_random_prompts(*tokenizer_, shape, 3, 1)[2].text,
            make_random_prompts(*tokenizer_, shape, 3, 2)[2].text);
}

TEST_F(DatasetTest, ShareGptTakesTheFirstTwoTurnsWithinBounds) {
  const std::string question = "What is the longest river of them all?",
                    answer = "It is said to be the Nile.";
  const fs::path path = write(fmt::format(
      R"([{{"conversations":[{{"from":"human","value":"{0}"}},{{"from":"gpt","value":"{1}"}},{{"from":"human","value":"third"}}]}},
          {{"conversations":[{{"from":"human","value":"alone, without any answer"}}]}},
          {{"conversations":[{{"from":"human","value":"x"}},{{"from":"gpt","value":"{1}"}}]}},
          {{"conversations":[{{"from":"human","value":"{0}"}},{{"from":"gpt","value":5}}]}}, 7])",
      question, answer));
  const auto prompts = read_sharegpt(*tokenizer_, {path}, 3, 0);
  ASSERT_EQ(prompts.size(), 3U);  // the only good one, again and again
  for (const BenchPrompt& prompt : prompts) {
    EXPECT_EQ(prompt.text, question);
    EXPECT_EQ(prompt.prompt_len, std::ssize(tokenizer_->encode(question, true)));
    EXPECT_EQ(prompt.output_len, std::ssize(tokenizer_->encode(answer, false)));
  }
  EXPECT_EQ(read_sharegpt(*tokenizer_, {path, 99}, 1, 0)[0].output_len, 99);
}

TEST_F(DatasetTest, CustomLinesInTheirOrder) {
  const fs::path path = write("{\"prompt\": \"one\"}\n\n{\"prompt\": \"two\", \"output_tokens\": 7}\n");
  const auto prompts = read_custom(nullptr, {path, 5}, 3);
  ASSERT_EQ(prompts.size(), 3U);
  EXPECT_EQ(prompts[0].text + prompts[1].text + prompts[2].text, "onetwoone");
  EXPECT_EQ(prompts[1].output_len, 5);
  EXPECT_EQ(prompts[1].prompt_len, -1);
  EXPECT_GT(read_custom(tokenizer_.get(), {path, 5}, 1)[0].prompt_len, 0);
  EXPECT_THAT(failure([&] { read_custom(nullptr, {path, -1}, 1); }), HasSubstr(":1: "));
}

TEST_F(DatasetTest, BadFilesAreNamed) {
  const auto custom = [&] { read_custom(nullptr, {path_, 5}, 1); };
  const auto sharegpt = [&] { read_sharegpt(*tokenizer_, {path_}, 1, 0); };
  EXPECT_THAT(failure(custom), HasSubstr("cannot read"));
  write("");
  EXPECT_THAT(failure(custom), HasSubstr("has no prompt"));
  EXPECT_THAT(failure(sharegpt), HasSubstr("no JSON list"));
  write("{\"prompt\": \"a\"}\nnot json\n");
  EXPECT_THAT(failure([&] { read_custom(nullptr, {path_, 5}, 2); }), HasSubstr(":2: "));
  write("[]");
  EXPECT_THAT(failure(sharegpt), HasSubstr("no conversation"));
}

}  // namespace
}  // namespace lmdeploy::cli
