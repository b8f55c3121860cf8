#include "server/openai_answer.h"

#include <gtest/gtest.h>

#include "server/answer_format.h"
#include "server/api_error.h"
#include "server/json.h"

namespace lmdeploy {
namespace {

const AnswerHead kChat{AnswerKind::chat, "chatcmpl-1", "m", 5, false};
const AnswerHead kCompletion{AnswerKind::completion, "cmpl-1", "m", 5, true};

TEST(OpenaiAnswer, chunks_of_a_chat) {
  EXPECT_EQ(
      role_chunk(kChat, 1),
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":1,)"
      R"("delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]})");
  EXPECT_EQ(parse_json(text_chunk(kChat, {0, "hé", FinishReason::none}))["choices"][0].dump(),
            R"({"index":0,"delta":{"content":"hé"},"logprobs":null,"finish_reason":null})");
  EXPECT_EQ(parse_json(text_chunk(kChat, {0, "", FinishReason::length}))["choices"][0].dump(),
            R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length"})");
}

TEST(OpenaiAnswer, chunks_of_a_completion_with_usage) {
  EXPECT_EQ(
      text_chunk(kCompletion, {2, "x", FinishReason::stop}),
      R"({"id":"cmpl-1","object":"text_completion","created":5,"model":"m","choices":[{"index":2,"text":"x",)"
      R"("logprobs":null,"finish_reason":"stop"}],"usage":null})");
  const Json last = parse_json(usage_chunk(kCompletion, {3, 4}));
  EXPECT_TRUE(last["choices"].empty());
  EXPECT_EQ(
      last["usage"].dump(),
      R"({"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}})");
}

TEST(OpenaiAnswer, the_whole_answer_is_the_sum_of_its_chunks) {
  AnswerFold fold(2);
  fold.add({0, "a", FinishReason::none});
  fold.add({1, "x", FinishReason::none});
  fold.add({0, "b", FinishReason::none});
  fold.add({1, "", FinishReason::length});
  fold.add({0, "", FinishReason::stop});
  const Json chat = parse_json(fold.json(kChat, {3, 3}));
  EXPECT_EQ(chat["object"], "chat.completion");
  EXPECT_EQ(
      chat["choices"].dump(),
      R"([{"index":0,"message":{"role":"assistant","content":"ab"},"logprobs":null,"finish_reason":"stop"},)"
      R"({"index":1,"message":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":"length"}])");
  EXPECT_EQ(chat["usage"]["total_tokens"], 6);
  EXPECT_EQ(parse_json(fold.json(kCompletion, {3, 3}))["choices"][0]["text"], "ab");
}

TEST(OpenaiAnswer, events) {
  EXPECT_EQ(sse_event("{}"), "data: {}\n\n");
  EXPECT_EQ(sse_error(ApiError(503, "no")),
            "event: error\ndata: {\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"param\":null,"
            "\"code\":\"service_unavailable\"}}\n\n");
}

TEST(OpenaiAnswer, ids_differ_and_say_their_kind) {
  const AnswerHead a = make_answer_head(AnswerKind::chat, "m", false);
  const AnswerHead b = make_answer_head(AnswerKind::chat, "m", false);
  EXPECT_TRUE(a.id.starts_with("chatcmpl-"));
  EXPECT_NE(a.id, b.id);
  EXPECT_TRUE(make_answer_head(AnswerKind::completion, "m", false).id.starts_with("cmpl-"));
}

TEST(ApiErrorBody, survives_bytes_that_are_not_utf8) {
  EXPECT_NE(ApiError(400, "found \xff").body().find("found"), std::string::npos);
}

// The short way to an event's bytes, against the document's.
TEST(OpenAiFormat, writes_the_same_bytes_as_the_document) {
  using namespace std::string_literals;
  for (const AnswerHead& head :
       {kChat, kCompletion, AnswerHead{AnswerKind::chat, "a\"choices\":[", "\\m\n", 7, true}}) {
    OpenAiFormat format(head, 1);
    for (const std::string& text : {"plain text"s, ""s, "\"quoted\" \\ \n\t\x01\x7f"s,
                                    "h\xc3\xa9 \xe4\xbd\xa0"s, "broken \xff\xc3"s, "a\0b"s})
      for (const FinishReason reason : {FinishReason::none, FinishReason::stop, FinishReason::length}) {
        const AnswerChunk chunk{.choice_idx = 3, .text = text, .finish_reason = reason};
        if (text.empty() && reason == FinishReason::none) continue;  // has no event
        EXPECT_EQ(format.chunk(chunk), sse_event(text_chunk(head, chunk)));
      }
  }
}

}  // namespace
}  // namespace lmdeploy
