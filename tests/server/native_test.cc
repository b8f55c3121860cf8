// LMDeploy's own routes: /generate, /v1/chat/interactive and /abort_request.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

class Native : public ServerTest {
 protected:
  std::vector<Json> events(std::string_view path, std::string_view body) {
    const HttpReply reply = server_.post(path, body);
    EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream; charset=utf-8");
    std::vector<Json> parsed;
    for (const std::string& event : reply.events())
      if (event != "[DONE]") parsed.push_back(parse_json(event));
    EXPECT_EQ(reply.events().back(), "[DONE]");
    return parsed;
  }
};

TEST_F(Native, generate_says_text_ids_and_counts) {
  const Json text = post("/generate", R"({"prompt":"hello","max_tokens":20,"ignore_eos":true})");
  const auto ids = text["output_ids"].get<std::vector<TokenId>>();
  EXPECT_EQ(ids.size(), 20U);
  EXPECT_EQ(server_.decode(ids), text["text"]);
  EXPECT_EQ(text["meta_info"]["prompt_tokens"], 5);
  EXPECT_EQ(text["meta_info"]["completion_tokens"], 20);
  EXPECT_EQ(text["meta_info"]["finish_reason"]["type"], "length");
  const Json by_ids =
      post("/generate", R"({"input_ids":[10,7,14,14,17],"max_tokens":20,"ignore_eos":true,"model":"tiny"})");
  EXPECT_EQ(by_ids["output_ids"], text["output_ids"]);
}

TEST_F(Native, the_events_of_generate_add_up_to_its_answer) {
  const std::string fields = R"("prompt":"hello","max_tokens":12,"ignore_eos":true)";
  const Json whole = post("/generate", fmt::format("{{{}}}", fields));
  std::string text;
  std::vector<TokenId> ids;
  const auto stream = events("/generate", fmt::format(R"({{{},"stream":true}})", fields));
  for (const Json& event : stream) {
    text += event["text"].get<std::string>();
    for (const auto& id : event["output_ids"]) ids.push_back(id);
  }
  EXPECT_EQ(text, whole["text"]);
  EXPECT_EQ(Json(ids), whole["output_ids"]);
  EXPECT_EQ(stream.back()["meta_info"], whole["meta_info"]);
  EXPECT_EQ(stream.front()["meta_info"]["finish_reason"], nullptr);
}

TEST_F(Native, generate_gives_log_probabilities) {
  const std::string fields = R"("prompt":"hello","max_tokens":6,"ignore_eos":true,"return_logprob":true)";
  const Json whole = post("/generate", fmt::format("{{{}}}", fields));
  const Json& logprobs = whole["meta_info"]["output_token_logprobs"];
  ASSERT_EQ(logprobs.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_LT(logprobs[i][0].get<double>(), 0);
    EXPECT_EQ(logprobs[i][1], whole["output_ids"][i]);
  }
  Json streamed = Json::array();
  for (const Json& event : events("/generate", fmt::format(R"({{{},"stream":true}})", fields)))
    if (event.contains("meta_info") && event["meta_info"]["output_token_logprobs"].is_array())
      for (const Json& pair : event["meta_info"]["output_token_logprobs"]) streamed.push_back(pair);
  EXPECT_EQ(streamed, logprobs);
}

TEST_F(Native, generate_refuses_by_name) {
  const auto param = [&](std::string_view body, int status = 400) {
    return post("/generate", body, status)["error"]["param"];
  };
  EXPECT_EQ(param(R"({})"), "prompt");
  EXPECT_EQ(param(R"({"prompt":"a","input_ids":[1]})"), "input_ids");
  EXPECT_EQ(param(R"({"input_ids":[-1]})"), "input_ids");
  EXPECT_EQ(param(R"({"prompt":"a","max_tokens":0})"), "max_tokens");
  EXPECT_EQ(param(R"({"prompt":"a","image_data":"x"})"), "image_data");
  EXPECT_EQ(param(R"({"prompt":"a","n":2})"), "n");
  EXPECT_EQ(param(R"({"prompt":"a","model":"gpt"})", 404), "model");
  EXPECT_EQ(param(R"({"prompt":""})"), "prompt");
}

std::string turn(std::string_view prompt, bool goes_on, std::string_view more = "") {
  return fmt::format(
      R"({{"prompt":"{}","session_id":7,"interactive_mode":{},"request_output_len":6,"temperature":0,"ignore_eos":true{}}})",
      prompt, goes_on, more);
}

TEST_F(Native, a_session_remembers_until_it_ends) {
  const Json first = post("/v1/chat/interactive", turn("hello", true));
  EXPECT_EQ(first["tokens"], 6);
  EXPECT_EQ(first["history_tokens"], 0);
  EXPECT_EQ(first["finish_reason"], "length");
  const Json second = post("/v1/chat/interactive", turn("again", true));
  EXPECT_EQ(second["history_tokens"], first["input_tokens"].get<int>() + 6);
  EXPECT_GT(second["input_tokens"], 0);
  // What the session stands for: the same messages, sent as a chat.
  const Json chat = Json{{"model", "tiny"},
                         {"messages",
                          {{{"role", "user"}, {"content", "hello"}},
                           {{"role", "assistant"}, {"content", first["text"]}},
                           {{"role", "user"}, {"content", "again"}}}},
                         {"max_tokens", 6},
                         {"temperature", 0},
                         {"ignore_eos", true}};
  EXPECT_EQ(post("/v1/chat/completions", chat.dump())["choices"][0]["message"]["content"], second["text"]);
  const Json last = post("/v1/chat/interactive", turn("bye", false));
  EXPECT_GT(last["history_tokens"], second["history_tokens"]);
  EXPECT_EQ(post("/v1/chat/interactive", turn("hello", true)), first);
  EXPECT_EQ(post("/v1/chat/interactive", turn("", false))["tokens"], 0);
  EXPECT_EQ(post("/v1/chat/interactive", turn("hello", false)), first);
}

TEST_F(Native, an_interactive_stream_is_a_line_of_json_for_each_piece) {
  const Json whole = post("/v1/chat/interactive", turn("hello", false));
  const HttpReply reply = server_.post("/v1/chat/interactive", turn("hello", false, R"(,"stream":true)"));
  EXPECT_EQ(reply.headers.at("content-type"), "application/x-ndjson");
  std::string text;
  Json last;
  for (std::size_t begin = 0; begin < reply.body.size();) {
    const std::size_t end = reply.body.find('\n', begin);
    last = parse_json(reply.body.substr(begin, end - begin));
    text += last["text"].get<std::string>();
    begin = end + 1;
  }
  EXPECT_EQ(text, whole["text"]);
  EXPECT_EQ(last["tokens"], whole["tokens"]);
  EXPECT_EQ(last["finish_reason"], "length");
}

TEST_F(Native, interactive_refuses_by_name) {
  const auto param = [&](std::string_view body) {
    return post("/v1/chat/interactive", body, 400)["error"]["param"];
  };
  EXPECT_EQ(param(R"({"prompt":"a","interactive_mode":true})"), "session_id");
  EXPECT_EQ(param(R"({"prompt":"a","cancel":true})"), "session_id");
  EXPECT_EQ(param(R"({"prompt":"","session_id":1,"interactive_mode":true})"), "prompt");
  EXPECT_EQ(param(R"({"prompt":""})"), "prompt");
  EXPECT_EQ(param(R"({"prompt":5})"), "prompt");
  EXPECT_EQ(param(R"({"prompt":"a","adapter_name":"x"})"), "adapter_name");
  EXPECT_EQ(param(R"({"prompt":"a","session_id":-2})"), "session_id");
}

TEST(NativeSessions, a_session_answers_one_request_at_a_time_and_may_be_cancelled) {
  TestServer server(slow_setup());
  RawClient client = server.connect();
  client.send(post_request(
      "/v1/chat/interactive",
      R"({"prompt":"hello","session_id":3,"interactive_mode":true,"ignore_eos":true,"stream":true})"));
  ASSERT_FALSE(client.read_some().empty());
  EXPECT_EQ(server.post("/v1/chat/interactive", R"({"prompt":"b","session_id":3})").status, 409);
  EXPECT_EQ(server.post("/v1/chat/completions", chat_body(1, R"("session_id":3)")).status, 409);
  const HttpReply cancelled = server.post("/v1/chat/interactive", R"({"session_id":3,"cancel":true})");
  EXPECT_EQ(cancelled.status, 200);
  std::string rest;
  for (std::string piece = client.read_some(); !piece.empty(); piece = client.read_some()) {
    rest += piece;
    if (rest.ends_with("0\r\n\r\n")) break;
  }
  EXPECT_NE(rest.find(R"("finish_reason":"abort")"), std::string::npos) << rest;
  EXPECT_TRUE(server.is_idle_within(1s));
  const Json next =
      parse_json(server.post("/v1/chat/interactive", R"({"prompt":"b","session_id":3,"max_tokens":2})").body);
  EXPECT_GT(next["history_tokens"], 0);
}

// Each way to name what is to end.
class Abort : public ::testing::TestWithParam<const char*> {};

TEST_P(Abort, ends_streams_and_whole_answers_with_what_there_is) {
  for (const char* stream : {"false", "true"}) {
    TestServer server(slow_setup());
    RawClient client = server.connect();
    client.send(post_request("/v1/chat/completions",
                             chat_body(450, fmt::format(R"("session_id":5,"n":2,"stream":{})", stream)),
                             "x-request-id: mine\r\n"));
    ASSERT_TRUE(server.is_busy_within(1s));
    const Json told = parse_json(server.post("/abort_request", GetParam()).body);
    EXPECT_EQ(told["num_aborted"], 1);
    const HttpReply reply = client.read_reply();
    EXPECT_EQ(reply.status, 200);
    const Json last =
        *stream == 't' ? parse_json(reply.events().at(reply.events().size() - 2)) : parse_json(reply.body);
    EXPECT_EQ(last["choices"][0]["finish_reason"], "abort");
    EXPECT_TRUE(server.is_idle_within(1s));
    EXPECT_LT(server.engine().stats().num_generated_tokens, 800U);
  }
}

INSTANTIATE_TEST_SUITE_P(Names, Abort,
                         ::testing::Values(R"({"session_id":5})", R"({"request_id":"mine"})",
                                           R"({"abort_all":true})"));

TEST(AbortRequest, leaves_the_answers_of_other_keys_alone) {
  TestSetup setup = slow_setup();
  setup.server.api_keys = {"alice", "bob"};
  TestServer server(setup);
  RawClient client = server.connect();
  client.send(post_request("/v1/chat/completions", chat_body(100, R"("session_id":5)"),
                           "Authorization: Bearer alice\r\nx-request-id: a1\r\n"));
  ASSERT_TRUE(server.is_busy_within(1s));
  const Json told =
      parse_json(server
                     .post("/abort_request", R"({"abort_all":true,"session_id":5,"request_id":"a1"})",
                           "x-api-key: bob\r\n")
                     .body);
  EXPECT_EQ(told["num_aborted"], 0);
  EXPECT_EQ(parse_json(client.read_reply().body)["choices"][0]["finish_reason"], "length");
}

TEST(AbortRequest, ends_a_request_that_waits) {
  TestSetup setup = slow_setup();
  setup.engine.max_batch_size = 1;
  TestServer server(setup);
  RawClient running = server.connect();
  running.send(post_request("/v1/chat/completions", chat_body(450, R"("stream":true)")));
  ASSERT_TRUE(server.is_busy_within(1s));
  RawClient queued = server.connect();
  queued.send(post_request("/v1/completions", completion_body(100, R"("session_id":9)")));
  while (server.engine().stats().num_waiting == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(server.post("/abort_request", R"({"session_id":9})").status, 200);
  const Json answer = parse_json(queued.read_reply().body);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "abort");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
}

TEST(AbortRequest, says_what_it_needs) {
  TestServer server;
  EXPECT_EQ(server.post("/abort_request", "{}").status, 400);
  EXPECT_EQ(server.post("/abort_request", R"({"session_id":-1})").status, 400);
  EXPECT_EQ(parse_json(server.post("/abort_request", R"({"session_id":1})").body)["num_aborted"], 0);
}

}  // namespace
}  // namespace lmdeploy::testing
