// More requests, connections and text than the server takes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

TEST(ConcurrentRequests, more_than_the_limit_get_429) {
  TestSetup setup = slow_setup();
  setup.server.max_concurrent_requests = 2;
  TestServer server(setup);
  std::vector<RawClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(server.connect());
    clients.back().send(post_request("/v1/chat/completions", chat_body(300, R"("stream":true)")));
    EXPECT_FALSE(clients.back().read_some().empty());
  }
  const HttpReply reply = server.post("/v1/completions", completion_body(1));
  EXPECT_EQ(reply.status, 429);
  EXPECT_TRUE(reply.headers.contains("retry-after"));
  EXPECT_EQ(parse_json(reply.body)["error"]["code"], "rate_limit_exceeded");
  EXPECT_EQ(server.get("/health").status, 200);
  clients.clear();
  ASSERT_TRUE(server.is_idle_within(1s));
  EXPECT_EQ(server.post("/v1/completions", completion_body(1)).status, 200);
}

TEST(ConcurrentRequests, a_full_queue_is_429_and_starts_no_choice) {
  TestSetup setup = slow_setup();
  setup.engine.max_batch_size = 1;
  setup.engine.max_queue_len = 1;
  TestServer server(setup);
  RawClient running = server.connect();
  running.send(post_request("/v1/chat/completions", chat_body(300, R"("stream":true)")));
  ASSERT_TRUE(server.is_busy_within(1s));
  const HttpReply reply = server.post("/v1/completions", completion_body(1, R"("n":8)"));
  EXPECT_EQ(reply.status, 429);
  EXPECT_TRUE(reply.headers.contains("retry-after"));
  running.close();
  EXPECT_TRUE(server.is_idle_within(1s));
}

// Twice what the queue holds, all at once: each is answered, with 200 or 429, and nothing is left.
TEST(ConcurrentRequests, a_burst_of_twice_the_queue) {
  TestSetup setup = slow_setup();
  setup.engine.max_batch_size = 4;
  setup.engine.max_queue_len = 12;
  TestServer server(setup);
  std::vector<RawClient> clients;
  for (int i = 0; i < 32; ++i) {
    clients.push_back(server.connect());
    clients.back().send(post_request("/v1/completions", completion_body(20)));
  }
  int num_ok = 0;
  for (RawClient& client : clients) {
    const HttpReply reply = client.read_reply();
    EXPECT_TRUE(reply.status == 200 || reply.status == 429) << reply.status;
    num_ok += reply.status == 200;
  }
  EXPECT_GE(num_ok, 12);
  EXPECT_TRUE(server.is_idle_within(1s));
}

TEST(Connections, beyond_the_cap_are_told_503_and_come_back) {
  TestSetup setup;
  setup.server.max_connections = 3;
  TestServer server(setup);
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(server.connect());
    clients.back().send("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(clients.back().read_reply().status, 200);
  }
  RawClient extra = server.connect();
  EXPECT_EQ(extra.read_reply().status, 503);
  clients.clear();
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(server.get("/health").status, 200);
}

TEST(Descriptors, without_any_a_newcomer_waits_and_is_served_later) {
  TestServer server;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int lowest_free = ::dup(0);
  ::close(lowest_free);
  const rlimit one_more{static_cast<rlim_t>(lowest_free) + 1, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &one_more);
  RawClient client = server.connect();  // takes the last one
  client.send("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
  std::this_thread::sleep_for(100ms);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(client.read_reply().status, 200);
}

std::string error_code_of(const HttpReply& reply) {
  const Json code = parse_json(reply.body)["error"]["code"];
  return code.is_null() ? "" : code.get<std::string>();
}

TEST(PromptLength, context_and_one_more) {
  TestServer server;  // session length 512, a token per character
  const auto post = [&](std::size_t num_tokens) {
    return server.post("/v1/completions", fmt::format(R"({{"model":"tiny","prompt":"{}","max_tokens":4}})",
                                                      std::string(num_tokens, 'a')));
  };
  HttpReply reply = post(511);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(parse_json(reply.body)["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(parse_json(reply.body)["usage"]["completion_tokens"], 1);
  for (const std::size_t num_tokens : {512, 513, 1'000'000, 4'000'000}) {
    reply = post(num_tokens);
    EXPECT_EQ(reply.status, 400) << num_tokens;
    EXPECT_EQ(error_code_of(reply), "context_length_exceeded");
  }
  reply = server.post("/v1/chat/completions",
                      fmt::format(R"({{"model":"tiny","messages":[{{"role":"user","content":"{}"}}]}})",
                                  std::string(1'000'000, 'a')));
  EXPECT_EQ(error_code_of(reply), "context_length_exceeded");
  EXPECT_TRUE(server.is_idle_within(1s));
}

// What is long is read on a thread of its own: the answers and refusals are the same.
TEST(LongRequests, are_answered_as_short_ones_are) {
  TestServer server;
  const std::string padding(64 << 10, ' ');
  EXPECT_EQ(parse_json(server.post("/v1/completions", completion_body(3) + padding).body)["choices"],
            parse_json(server.post("/v1/completions", completion_body(3)).body)["choices"]);
  EXPECT_EQ(server.post("/v1/chat/completions", chat_body(5, R"("stream":true)") + padding).events().back(),
            "[DONE]");
  EXPECT_EQ(parse_json(server.post("/tokenize", R"({"prompt":"hello"})" + padding).body)["count"], 5);
  EXPECT_EQ(server.post("/v1/completions", "{" + padding).status, 400);
  EXPECT_EQ(server.post("/v1/completions", R"({"model":"gpt","prompt":"a"})" + padding).status, 404);
  EXPECT_TRUE(server.is_idle_within(1s));
}

TEST(LongRequests, of_clients_that_have_left_are_not_answered) {
  TestServer server(slow_setup());
  for (int i = 0; i < 20; ++i) {
    RawClient client = server.connect();
    client.send(post_request("/v1/completions", completion_body(400) + std::string(1 << 20, ' ')));
  }
  EXPECT_TRUE(server.is_idle_within(5s));
  EXPECT_LT(server.engine().stats().num_generated_tokens, 4000U);
  EXPECT_EQ(server.post("/v1/completions", completion_body(1)).status, 200);
}

TEST(PromptLength, an_empty_prompt_is_refused) {
  TestServer server;
  EXPECT_EQ(server.post("/v1/completions", R"({"model":"tiny","prompt":""})").status, 400);
  EXPECT_EQ(server.post("/v1/completions", R"({"model":"tiny","prompt":["a",""]})").status, 400);
  EXPECT_EQ(server.post("/v1/completions", R"({"model":"tiny","prompt":[[]]})").status, 400);
  EXPECT_TRUE(server.is_idle_within(1s));
}

}  // namespace
}  // namespace lmdeploy::testing
