#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/version.h"
#include "cli/compatibility.h"
#include "cli/usage_error.h"

namespace lmdeploy::cli {
namespace {

using ::testing::HasSubstr;

Invocation parse(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return CommandLine().parse(words);
}

std::string failure(const std::string& line) {
  try {
    parse(line);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "it did not fail";
}

TEST(CommandLine, UnderstandsTheTutorialsLines) {
  EXPECT_EQ(parse("chat MODEL").command, "chat");
  EXPECT_EQ(parse("chat MODEL --cache-max-entry-count 0.4").command, "chat");
  EXPECT_EQ(parse("serve api_server MODEL --model-format hf --quant-policy 0 --server-name 0.0.0.0 "
                  "--server-port 23333 --tp 1")
                .command,
            "serve api_server");
  EXPECT_EQ(parse("serve api_client http://localhost:23333").command, "serve api_client");
  EXPECT_EQ(parse("serve gradio http://localhost:23333 --server-name 0.0.0.0 --server-port 6006").command,
            "serve gradio");
  EXPECT_EQ(
      parse("lite auto_awq MODEL --calib-dataset ptb --calib-samples 128 --calib-seqlen 2048 --w-bits 4 "
            "--w-group-size 128 --batch-size 1 --search-scale False --work-dir OUT")
          .command,
      "lite auto_awq");
}

TEST(CommandLine, QuantPolicyIsAnOptionOfAllThatCompute) {
  for (const char* command :
       {"chat MODEL", "serve api_server MODEL", "bench latency MODEL", "eval ppl M --text T"})
    for (const char* policy : {"0", "4", "8"})
      EXPECT_NO_THROW(parse(fmt::format("{} --quant-policy {}", command, policy))) << command;
}

TEST(CommandLine, RefusesByNameWhatIsNotBuilt) {
  const std::string refusal = failure(
      "serve api_server MODEL --model-format mxfp4 --quant-policy 4 --cache-max-entry-count 0.4 "
      "--server-name "
      "0.0.0.0 --server-port 23333 --tp 1");
  EXPECT_THAT(refusal, HasSubstr("not built yet: --model-format mxfp4"));
  EXPECT_THAT(refusal, HasSubstr("--model-format hf"));
  for (const char* words :
       {"--tp 2", "--device ascend", "--quant_policy 42", "--model-format llama", "--adapters a=b",
        "--proxy-url http://x", "--speculative-algorithm eagle", "--allow-terminate-by-client"})
    EXPECT_THAT(failure(std::string("serve api_server MODEL ") + words), HasSubstr("not built yet")) << words;
}

TEST(CommandLine, PlansWhatIsNotServedYet) {
  EXPECT_EQ(parse("plan MODEL --model-format awq --tp 8 --memory 24GB --cache-max-entry-count 0.4").command,
            "plan");
  EXPECT_THAT(failure("plan MODEL --memory 24XB"), HasSubstr("--memory"));
  EXPECT_EQ(parse("serve api_server MODEL --memory 24GB --dry-run").command, "serve api_server");
}

TEST(CommandLine, FlagsThatAreOffAreNoRefusal) {
  EXPECT_EQ(parse("serve api_server MODEL --ssl False --enable_prefix_caching 0 --device cpu").command,
            "serve api_server");
}

TEST(CommandLine, NamesUnknownValuesWithTheNearest) {
  EXPECT_THAT(failure("chat MODEL --dtype bflaot16"), HasSubstr("Did you mean bfloat16?"));
  EXPECT_THAT(failure("chat MODEL --model-format hff"), HasSubstr("Did you mean hf?"));
  EXPECT_THAT(failure("chat MODEL --quant-policy 3"), HasSubstr("does not know the value '3'"));
  EXPECT_THAT(failure("chat MODEL --log-level LOUD"), HasSubstr("CRITICAL"));
}

TEST(CommandLine, ChecksNumbers) {
  EXPECT_THAT(failure("chat MODEL --session-len 0"), HasSubstr("--session-len"));
  EXPECT_THAT(failure("chat MODEL --session-len 1.5"), HasSubstr("--session-len"));
  EXPECT_THAT(failure("chat MODEL --session-len 99999999999999999999"), HasSubstr("--session-len"));
  EXPECT_THAT(failure("chat MODEL --cache-max-entry-count 1.5"), HasSubstr("--cache-max-entry-count"));
  EXPECT_THAT(failure("chat MODEL --cache-max-entry-count 8QiB"), HasSubstr("--cache-max-entry-count"));
  EXPECT_THAT(failure("chat MODEL --top-p 2"), HasSubstr("--top-p"));
  EXPECT_THAT(failure("serve api_server MODEL --server-port 70000"), HasSubstr("--server-port"));
}

TEST(CommandLine, MissingAndSuperfluousWords) {
  EXPECT_THAT(failure("chat"), HasSubstr("MODEL is required"));
  EXPECT_THAT(failure("eval ppl MODEL"), HasSubstr("--text is required"));
  EXPECT_THAT(failure("chat MODEL another"), HasSubstr("another"));
}

// Every option of both LMDeploy versions that no variable reads, on every command that runs an engine.
TEST(CommandLine, KnowsEveryDeclaredOption) {
  for (const char* command :
       {"chat MODEL", "serve api_server MODEL", "bench latency MODEL", "eval ppl M --text T"})
    for (const auto& options : {kAcceptedByEngine, kRestrictedByEngine})
      for (const DeclaredOption& option : options) {
        const std::string line = fmt::format("{} {}{}", command, option.name,
                                             option.kind == DeclaredOption::Kind::flag ? "" : " 1");
        EXPECT_THAT(failure(line), ::testing::Not(HasSubstr("has no option"))) << line;
      }
}

TEST(CommandLine, UnderstandsServerOptionsInBothSpellings) {
  const std::string options =
      "--server_name ::1 --server-port 0 --allow-origins http://a http://b --allow_methods GET "
      "--allow-headers x "
      "--allow-credentials --model-name m --log_level debug --max-log-len 10 --max_concurrent_requests 8 "
      "--disable-fastapi-docs --disable_metrics True --chat-template t.jinja --generation-config lmdeploy "
      "--revision r --download-dir d --backend pytorch --dtype float16 --session-len 4096 --max-batch-size 8 "
      "--cache-block-seq-len 64 --max_prefill_token_num 512 --rope-scaling-factor 0.0 "
      "--hf-overrides.rope_scaling.factor 4 --trust-remote-code --async 1 --communicator nccl "
      "--num-tokens-per-iter 0 --max-prefill-iters 1 --api-keys k1 k2";
  EXPECT_EQ(parse("serve api_server MODEL " + options).command, "serve api_server");
}

TEST(CommandLine, UnderstandsTheOlderChat) {
  EXPECT_EQ(
      parse("chat MODEL --session-id 1 --top-p 0.8 --top_k 1 -temp 0.8 --repetition-penalty 1.0 --cap chat "
            "--block-size 64 --stream-output --meta-instruction Hi --cache-max-entry-count 8GiB")
          .command,
      "chat");
}

TEST(CommandLine, HelpAtEveryLevel) {
  EXPECT_THAT(*parse("--help").text, HasSubstr("Usage: lmdeploy COMMAND"));
  EXPECT_THAT(*parse("serve -h").text, HasSubstr("Usage: lmdeploy serve COMMAND"));
  for (const Command& command : kCommands) {
    const std::string path =
        fmt::format("{}{}{}", command.group, *command.group == '\0' ? "" : " ", command.name);
    const Invocation help = parse(path + " --help");
    ASSERT_TRUE(help.text) << path;
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(*help.text, HasSubstr("Usage: lmdeploy " + path));
    EXPECT_THAT(*help.text, HasSubstr(command.summary));
    EXPECT_THAT(*help.text, HasSubstr("Examples:"));
  }
}

TEST(CommandLine, BareCommands) {
  EXPECT_EQ(parse("").exit_code, 0);
  EXPECT_EQ(parse("serve").exit_code, 2);
  EXPECT_EQ(*parse("-v").text, fmt::format("lmdeploy {}\n", kVersion));
}

TEST(CommandLine, ThePageOfAServerElsewhereTakesNoOptionsOfAModel) {
  for (const char* line : {"serve gradio http://x --tp 1", "serve gradio host:23333 --session-len 512",
                           "serve gradio http://x --disable-metrics", "serve gradio http://x --share"})
    EXPECT_THROW(parse(line).action(), UsageError) << line;
}

TEST(CommandLine, SuggestsCommands) {
  EXPECT_THAT(failure("serve api_sever M"), HasSubstr("Did you mean api_server?"));
  EXPECT_THAT(failure("cht M"), HasSubstr("Did you mean chat?"));
}

// The lines that --help tells users to paste must parse, whatever they then do.
TEST(CommandLine, ExamplesOfTheHelpParse) {
  for (const Command& command : kCommands) {
    std::istringstream lines(command.example);
    for (std::string line; std::getline(lines, line);) {
      ASSERT_TRUE(line.starts_with("lmdeploy ")) << line;
      EXPECT_FALSE(parse(line.substr(std::string("lmdeploy ").size())).command.empty()) << line;
    }
  }
}

}  // namespace
}  // namespace lmdeploy::cli
