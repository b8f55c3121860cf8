#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class ArgumentsTest : public ::testing::Test {
 protected:
  ArgumentsTest() : root_("", "lmdeploy") {
    CLI::App* chat = root_.add_subcommand("chat");
    chat->add_option("MODEL");
    chat->add_option("--session-len");
    chat->add_option("--temperature");
    chat->add_option("--hf-overrides");
    chat->add_option("--api-keys")->expected(0, 100);
    chat->add_flag("--fast");
  }
  Words normalize(const Words& words) { return normalize_arguments(root_, words); }
  std::string failure(const Words& words) {
    try {
      normalize(words);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "it did not fail";
  }
  CLI::App root_;
};

TEST_F(ArgumentsTest, UnderscoresAreHyphensInNamesOnly) {
  EXPECT_THAT(normalize({"chat", "my_model", "--session_len", "8_9"}),
              ElementsAre("chat", "my_model", "--session-len", "8_9"));
  EXPECT_THAT(normalize({"chat", "--session_len=8_9"}), ElementsAre("chat", "--session-len", "8_9"));
}

TEST_F(ArgumentsTest, FlagsTakeAWordThatIsABool) {
  EXPECT_THAT(normalize({"chat", "--fast", "False", "m"}), ElementsAre("chat", "--fast=false", "m"));
  EXPECT_THAT(normalize({"chat", "--fast", "1", "m"}), ElementsAre("chat", "--fast=true", "m"));
  EXPECT_THAT(normalize({"chat", "--fast=TRUE", "m"}), ElementsAre("chat", "--fast=true", "m"));
  EXPECT_THAT(normalize({"chat", "--fast", "m"}), ElementsAre("chat", "--fast", "m"));
  EXPECT_THAT(failure({"chat", "--fast=perhaps"}), HasSubstr("on or off"));
}

TEST_F(ArgumentsTest, OtherSpellings) {
  EXPECT_THAT(normalize({"chat", "-temp", "0.5", "m"}), ElementsAre("chat", "--temperature", "0.5", "m"));
  EXPECT_THAT(normalize({"chat", "--model", "m"}), ElementsAre("chat", "m"));
  EXPECT_THAT(normalize({"chat", "--model=m"}), ElementsAre("chat", "m"));
}

TEST_F(ArgumentsTest, DottedOverridesBecomeJson) {
  EXPECT_THAT(normalize({"chat", "--hf-overrides.rope_scaling.factor", "4"}),
              ElementsAre("chat", "--hf-overrides", R"({"rope_scaling":{"factor":4}})"));
  EXPECT_THAT(normalize({"chat", "--hf_overrides.rope_scaling.type=yarn"}),
              ElementsAre("chat", "--hf-overrides", R"({"rope_scaling":{"type":"yarn"}})"));
}

TEST_F(ArgumentsTest, ValuesMayBeNegativeAndListsEmpty) {
  EXPECT_THAT(normalize({"chat", "--session-len", "-1"}), ElementsAre("chat", "--session-len", "-1"));
  EXPECT_THAT(normalize({"chat", "--api-keys", "a", "b"}), ElementsAre("chat", "--api-keys", "a", "b"));
  EXPECT_THAT(normalize({"chat", "--api-keys", "--fast"}), ElementsAre("chat", "--fast"));
}

TEST_F(ArgumentsTest, MistakesAreNamed) {
  EXPECT_THAT(failure({"chta"}), HasSubstr("Did you mean chat?"));
  EXPECT_THAT(failure({"chat", "--sesion_len", "4"}), HasSubstr("Did you mean --session-len?"));
  EXPECT_THAT(failure({"chat", "--session-len"}), HasSubstr("--session-len needs a value"));
  EXPECT_THAT(failure({"chat", "--session-len", "--fast"}), HasSubstr("--session-len needs a value"));
  EXPECT_THAT(failure({"chat", "--session-len.x", "4"}), HasSubstr("no option --session-len.x"));
}

TEST_F(ArgumentsTest, NothingIsReadAfterTwoHyphens) {
  EXPECT_THAT(normalize({"chat", "--", "--session_len"}), ElementsAre("chat", "--", "--session_len"));
}

}  // namespace
}  // namespace lmdeploy::cli
