#include "client/completion_stream.h"

#include <gtest/gtest.h>

#include <string>

namespace lmdeploy::client {
namespace {

std::string event(const std::string& json) {
  return "data: " + json + "\n\n";
}

// A chat of two pieces as servers send it, with the role first and the usage last.
const std::string kChat =
    event(
        R"({"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})") +
    event(R"({"choices":[{"index":0,"delta":{"content":"Par"},"logprobs":{"content":[{"token":"Par"}]}}]})") +
    event(R"({"choices":[{"index":0,"delta":{"content":"is\n\u00fc"},"finish_reason":null}],"usage":null})") +
    event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})") +
    event(R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}})") +
    "data: [DONE]\n\n";

TEST(CompletionStream, CountsChunksWithTextOnly) {
  CompletionStream stream;
  EXPECT_EQ(stream.feed(kChat), 2);
  EXPECT_EQ(stream.text(), "Paris\n\u00fc");
  EXPECT_EQ(stream.prompt_tokens(), 7);
  EXPECT_EQ(stream.completion_tokens(), 3);
  EXPECT_TRUE(stream.done());
  EXPECT_EQ(stream.error(), "");
}

TEST(CompletionStream, IsEqualForEverySplit) {
  for (std::size_t i = 0; i <= kChat.size(); ++i) {
    CompletionStream stream;
    const int first = stream.feed(kChat.substr(0, i));
    EXPECT_EQ(first + stream.feed(kChat.substr(i)), 2) << i;
    EXPECT_EQ(stream.text(), "Paris\n\u00fc") << i;
  }
}

TEST(CompletionStream, ReadsCompletionsReasoningAndToolCalls) {
  CompletionStream completion;
  EXPECT_EQ(completion.feed(event(R"({"choices":[{"text":"a","index":0}]})") +
                            event(R"({"choices":[{"text":"","finish_reason":"length"}]})")),
            1);
  EXPECT_TRUE(completion.done());
  CompletionStream reasoning;
  EXPECT_EQ(reasoning.feed(event(R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})")), 1);
  EXPECT_EQ(reasoning.feed(event(R"({"choices":[{"delta":{"reasoning":"hm"}}]})")), 1);
  CompletionStream call;
  EXPECT_EQ(
      call.feed(event(
          R"({"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":""}},{"function":{"arguments":"{}"}}]}}]})")),
      1);
}

TEST(CompletionStream, WithoutUsageThereIsNoCount) {
  CompletionStream stream;
  stream.feed(event(R"({"choices":[{"text":"a"}]})"));
  EXPECT_EQ(stream.completion_tokens(), -1);
  EXPECT_FALSE(stream.done());
}

TEST(CompletionStream, KeepsTheServersErrorInEveryForm) {
  for (const std::string& bytes :
       {event(R"({"error":{"message":"out of memory","code":500}})"), event(R"({"error":"out of memory"})"),
        "event: error\n" + event(R"({"message":"out of memory"})")}) {
    CompletionStream stream;
    EXPECT_EQ(stream.feed(bytes), 0);
    EXPECT_EQ(stream.error(), "out of memory");
  }
}

TEST(CompletionStream, WhatIsNoJsonIsAnError) {
  CompletionStream stream;
  EXPECT_EQ(stream.feed("data: <html>\n\n"), 0);
  EXPECT_NE(stream.error(), "");
}

// Values where others are expected: foreign servers answer, and nothing may go wrong here.
TEST(CompletionStream, SurvivesOtherShapes) {
  CompletionStream stream;
  for (const char* json : {"[]", "1", "null", R"({"choices":{"text":"a"}})", R"({"choices":[["text","a"]]})",
                           R"({"choices":[{"delta":"content"}]})", R"({"usage":[{"prompt_tokens":-1}]})",
                           R"({"a":[[{"b":[{}]}],[]],"choices":[]})"})
    stream.feed(event(json));
  EXPECT_EQ(stream.error(), "");
}

}  // namespace
}  // namespace lmdeploy::client
