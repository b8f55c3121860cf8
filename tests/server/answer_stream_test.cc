// Streams: what their events are, and that they add up to the whole answer.
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

std::vector<Json> chunks_of(const HttpReply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(reply.complete);
  EXPECT_TRUE(reply.headers.at("content-type").starts_with("text/event-stream"));
  std::vector<std::string> events = reply.events();
  EXPECT_EQ(events.back(), "[DONE]");
  events.pop_back();
  std::vector<Json> chunks;
  for (const std::string& event : events) chunks.push_back(parse_json(event));
  return chunks;
}

TEST(Stream, of_a_chat) {
  TestServer server;
  const auto chunks = chunks_of(server.post(
      "/v1/chat/completions", chat_body(6, R"("stream":true,"stream_options":{"include_usage":true})")));
  EXPECT_EQ(chunks.front()["choices"][0]["delta"].dump(), R"({"role":"assistant","content":""})");
  std::string text;
  for (std::size_t i = 1; i + 2 < chunks.size(); ++i) {
    EXPECT_EQ(chunks[i]["id"], chunks[0]["id"]);
    EXPECT_EQ(chunks[i]["object"], "chat.completion.chunk");
    EXPECT_TRUE(chunks[i]["usage"].is_null());
    text += chunks[i]["choices"][0]["delta"]["content"].get<std::string>();
  }
  EXPECT_EQ(chunks[chunks.size() - 2]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(chunks.back()["usage"]["completion_tokens"], 6);
  EXPECT_TRUE(chunks.back()["choices"].empty());
  Json whole = parse_json(server.post("/v1/chat/completions", chat_body(6)).body);
  EXPECT_EQ(whole["choices"][0]["message"]["content"], text);
  EXPECT_EQ(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 16);  // the second time, one block
  whole["usage"]["prompt_tokens_details"]["cached_tokens"] = 0;
  EXPECT_EQ(whole["usage"], chunks.back()["usage"]);
}

TEST(Stream, gives_an_event_per_token) {
  TestServer server;
  const auto chunks = chunks_of(
      server.post("/v1/completions", completion_body(50, R"("stream":true,"skip_special_tokens":false)")));
  EXPECT_EQ(chunks.size(), 51U);  // and one with the finish_reason
}

// For stops, choices and prompts of all kinds: the chunks add up to the whole answer.
TEST(Stream, equals_the_whole_answer) {
  TestServer server;
  for (const std::string fields : {R"("max_tokens":60)", R"("max_tokens":60,"stop":["e","xy"])",
                                   R"("max_tokens":60,"n":3,"temperature":1,"seed":5)", R"("max_tokens":400)",
                                   R"("max_tokens":60,"ignore_eos":true,"skip_special_tokens":false)",
                                   R"("max_tokens":60,"stop":"a","include_stop_str_in_output":true)"}) {
    const std::string body = R"({"model":"tiny","prompt":["hello","good bye"],)" + fields;
    const Json whole = parse_json(server.post("/v1/completions", body + "}").body);
    std::vector<std::string> texts(whole["choices"].size());
    std::vector<std::string> reasons(texts.size());
    for (const Json& chunk : chunks_of(server.post("/v1/completions", body + R"(,"stream":true})"))) {
      const Json& choice = chunk["choices"][0];
      const auto idx = choice["index"].get<std::size_t>();
      texts.at(idx) += choice["text"].get<std::string>();
      if (!choice["finish_reason"].is_null()) reasons.at(idx) = choice["finish_reason"];
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(whole["choices"][i]["text"], texts[i]) << fields;
      EXPECT_EQ(whole["choices"][i]["finish_reason"], reasons[i]) << fields;
    }
  }
}

TEST(Stream, thirty_two_at_once_are_what_each_is_alone) {
  TestServer server;
  const auto body = [](int i) {
    return R"({"model":"tiny","max_tokens":80,"ignore_eos":true,"stream":true,"messages":[{"role":"user","content":")" +
           std::string(static_cast<std::size_t>(i), 'a') + R"(b"}]})";
  };
  const auto text_of = [](const HttpReply& reply) {
    std::string text;
    for (const Json& chunk : chunks_of(reply)) text += chunk["choices"][0]["delta"].value("content", "");
    return text;
  };
  std::vector<std::string> alone;
  for (int i = 0; i < 32; ++i) alone.push_back(text_of(server.post("/v1/chat/completions", body(i))));
  std::vector<RawClient> clients;
  for (int i = 0; i < 32; ++i) {
    clients.push_back(server.connect());
    clients.back().send(post_request("/v1/chat/completions", body(i)));
  }
  for (std::size_t i = 0; i < 32; i += 2) clients[i].close();
  for (std::size_t i = 1; i < 32; i += 2) EXPECT_EQ(text_of(clients[i].read_reply()), alone[i]);
  EXPECT_TRUE(server.is_idle_within(1s));
}

TEST(Stream, errors_before_the_first_event_have_their_status) {
  TestServer server;
  EXPECT_EQ(
      server.post("/v1/completions", R"({"model":"tiny","prompt":"a","stream":true,"top_k":-1})").status,
      400);
  EXPECT_EQ(server.post("/v1/completions", R"({"model":"x","prompt":"a","stream":true})").status, 404);
}

}  // namespace
}  // namespace lmdeploy::testing
