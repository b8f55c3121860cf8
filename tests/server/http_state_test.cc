// What the server says while it loads, drains and is full.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

HttpReply ask(std::uint16_t port, const std::string& request) {
  RawClient client(port);
  client.send(request);
  return client.read_reply();
}

std::string get_request(std::string_view path) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path);
}

TEST(Loading, is_said_to_everyone) {
  const TestSetup setup;
  Server server(setup.server);
  for (const char* path : {"/health", "/health?ready"}) {
    const HttpReply reply = ask(server.port(), get_request(path));
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(parse_json(reply.body)["status"], "loading");
    EXPECT_TRUE(reply.headers.contains("retry-after"));
  }
  const HttpReply reply = ask(server.port(), post_request("/v1/completions", completion_body(1)));
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(parse_json(reply.body)["error"]["code"], "service_unavailable");
  EXPECT_EQ(ask(server.port(), get_request("/nowhere")).status, 404);
}

TEST(Loading, may_end_without_a_model) {
  const TestSetup setup;
  auto server = std::make_unique<Server>(setup.server);
  RawClient idle(server->port());
  server.reset();
  EXPECT_TRUE(idle.closed_within(1s));
}

TEST(Ready, once_there_is_a_model) {
  TestServer server;
  for (const char* path : {"/health", "/health?ready", "/health?ready=true&x=1"})
    EXPECT_EQ(server.get(path).body, R"({"status":"ok"})");
}

// A server that drains as long as its one answer runs.
class Drain : public ::testing::Test {
 protected:
  void SetUp() override {
    running_.send(post_request("/v1/chat/completions", chat_body(300, R"("stream":true)")));
    ASSERT_TRUE(server_.is_busy_within(1s));
    server_.server().stop();
    ASSERT_TRUE(idle_.closed_within(1s));  // from here on it drains
  }
  void ends_well() {
    const HttpReply reply = running_.read_reply();
    EXPECT_EQ(reply.events().back(), "[DONE]");
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(server_.has_returned_within(1s));
    EXPECT_THROW(server_.connect(), std::runtime_error);
  }
  TestServer server_{slow_setup(2ms)};
  RawClient idle_ = server_.connect();
  RawClient running_ = server_.connect();
};

TEST_F(Drain, new_requests_are_told_503_and_to_go_elsewhere) {
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/generate", "/tokenize"}) {
    RawClient client = server_.connect();
    client.send(post_request(path, chat_body(1)));
    const HttpReply reply = client.read_reply();
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.headers.at("connection"), "close");
    EXPECT_TRUE(reply.headers.contains("retry-after"));
    EXPECT_TRUE(client.closed_within(1s));
  }
  ends_well();
}

TEST_F(Drain, is_alive_but_not_ready) {
  EXPECT_EQ(server_.get("/health").status, 200);
  const HttpReply ready = server_.get("/health?ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(parse_json(ready.body)["status"], "draining");
  EXPECT_EQ(server_.get("/health?ready=0").status, 200);
  ends_well();
}

TEST_F(Drain, a_newcomer_that_says_nothing_does_not_hold_it_up) {
  RawClient silent = server_.connect();
  RawClient half = server_.connect();
  half.send("POST /v1/completions HTTP/1.1\r\nHost:");
  ends_well();
  EXPECT_TRUE(silent.closed_within(1s));
  EXPECT_TRUE(half.closed_within(1s));
}

}  // namespace
}  // namespace lmdeploy::testing
