#include "server/logprobs_json.h"

#include <gtest/gtest.h>

#include <limits>

#include "server/json.h"

namespace lmdeploy {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LogprobsJson, of_a_chat) {
  const std::vector<AnswerToken> tokens{
      {.token = 1, .bytes = "é", .logprob = -0.5F, .top = {{"é", -0.5F}, {"\xf0\x9f", -2}}},
      {.token = 2, .bytes = "<|end|>", .logprob = -kInfinity}};
  EXPECT_EQ(chat_logprobs(tokens).dump(),
            R"({"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[)"
            R"({"token":"é","logprob":-0.5,"bytes":[195,169]},)"
            R"({"token":"\\xf0\\x9f","logprob":-2.0,"bytes":[240,159]}]},)"
            R"({"token":"<|end|>","logprob":-9999.0,"bytes":[60,124,101,110,100,124,62],"top_logprobs":[]}],)"
            R"("refusal":null})");
}

TEST(LogprobsJson, of_a_completion) {
  const std::vector<AnswerToken> tokens{
      {.token = 1, .bytes = "a", .logprob = std::nullopt, .text_offset = 0},
      {.token = 2, .bytes = " \xf0\x9f", .logprob = -3.5F, .top = {{"b", -1}, {"b", -2}}, .text_offset = 1}};
  EXPECT_EQ(completion_logprobs(tokens).dump(),
            R"({"tokens":["a","bytes: \\xf0\\x9f"],"token_logprobs":[null,-3.5],)"
            R"("top_logprobs":[null,{"b":-1.0,"bytes: \\xf0\\x9f":-3.5}],"text_offset":[0,1]})");
}

TEST(LogprobsJson, of_no_number_is_null) {
  const std::vector<AnswerToken> tokens{
      {.token = 1, .bytes = "a", .logprob = std::numeric_limits<float>::quiet_NaN()}};
  EXPECT_TRUE(completion_logprobs(tokens)["token_logprobs"][0].is_null());
}

}  // namespace
}  // namespace lmdeploy
