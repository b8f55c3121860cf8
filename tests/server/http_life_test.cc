// Connections and answers that end early, late or not at all.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/error.h"
#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kLong = 500;

std::string long_request(bool stream) {
  return post_request("/v1/chat/completions", chat_body(kLong - 40, stream ? R"("stream":true)" : ""));
}

TEST(KeepAlive, serves_requests_one_after_another_and_pipelined) {
  TestServer server;
  RawClient client = server.connect();
  const std::string request = post_request("/v1/completions", completion_body(3));
  for (int i = 0; i < 3; ++i) {
    client.send(request);
    const HttpReply reply = client.read_reply();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("connection"), "keep-alive");
  }
  client.send(request + request + "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 200);
  EXPECT_EQ(client.read_reply().status, 200);
  EXPECT_EQ(client.read_reply().body, R"({"status":"ok"})");
  EXPECT_TRUE(client.closed_within(1s));
}

TEST(KeepAlive, the_next_request_may_come_while_an_answer_streams) {
  TestServer server(slow_setup());
  RawClient client = server.connect();
  client.send(post_request("/v1/chat/completions", chat_body(100, R"("stream":true)")));
  ASSERT_TRUE(server.is_busy_within(1s));
  const std::string next = post_request("/v1/completions", completion_body(3));
  client.send(next.substr(0, 30));
  std::this_thread::sleep_for(20ms);
  client.send(next.substr(30));
  EXPECT_EQ(client.read_reply().events().back(), "[DONE]");
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST(KeepAlive, a_flood_of_bytes_during_an_answer_ends_it) {
  TestServer server(slow_setup());
  RawClient client = server.connect();
  client.send(long_request(false));
  ASSERT_TRUE(server.is_busy_within(1s));
  client.send(std::string(1 << 20, 'x'));
  EXPECT_TRUE(server.is_idle_within(1s));
  EXPECT_LT(server.engine().stats().num_generated_tokens, 400U);
}

TEST(KeepAlive, an_idle_connection_is_closed) {
  TestSetup setup;
  setup.server.idle_timeout = 50ms;
  TestServer server(setup);
  RawClient client = server.connect();
  EXPECT_TRUE(client.closed_within(1s));
}

TEST(KeepAlive, http_1_0_streams_until_the_close) {
  TestServer server;
  RawClient client = server.connect();
  const std::string body = chat_body(5, R"("stream":true)");
  client.send(
      fmt::format("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  const HttpReply reply = client.read_reply();
  EXPECT_FALSE(reply.headers.contains("transfer-encoding"));
  EXPECT_EQ(reply.events().back(), "[DONE]");
}

TEST(Upload, chunked_and_expecting_continue) {
  TestServer server;
  RawClient client = server.connect();
  const std::string body = completion_body(3);
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: "
      "100-continue\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 100);
  for (const char c : body) client.send(fmt::format("1\r\n{}\r\n", c));
  client.send("0\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST(Upload, a_refusal_comes_instead_of_the_continue) {
  TestServer server;
  RawClient client = server.connect();
  client.send(
      "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 413);
}

// A client that leaves, in each way and phase: its request and its blocks are gone within a second.
enum class Leave { close, half_close, reset };
class Disconnect : public ::testing::TestWithParam<std::tuple<Leave, bool>> {
 protected:
  static void leave(RawClient& client) {
    switch (std::get<0>(GetParam())) {
      case Leave::close:
        return client.close();
      case Leave::half_close:
        return client.half_close();
      case Leave::reset:
        return client.reset();
    }
  }
  static bool streams() { return std::get<1>(GetParam()); }
};

TEST_P(Disconnect, while_decoding) {
  TestServer server(slow_setup());
  RawClient client = server.connect();
  client.send(long_request(streams()));
  ASSERT_TRUE(server.is_busy_within(1s));
  if (streams()) {
    EXPECT_FALSE(client.read_some().empty());
  }
  std::this_thread::sleep_for(20ms);
  leave(client);
  EXPECT_TRUE(server.is_idle_within(1s));
  EXPECT_LT(server.engine().stats().num_generated_tokens, 400U);
}

TEST_P(Disconnect, while_queued) {
  TestSetup setup = slow_setup();
  setup.engine.max_batch_size = 1;
  TestServer server(setup);
  RawClient running = server.connect();
  running.send(long_request(true));
  ASSERT_TRUE(server.is_busy_within(1s));
  RawClient queued = server.connect();
  queued.send(long_request(streams()));
  while (server.engine().stats().num_waiting == 0) std::this_thread::sleep_for(1ms);
  leave(queued);
  const auto deadline = std::chrono::steady_clock::now() + 1s;
  while (server.engine().stats().num_waiting > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(server.engine().stats().num_waiting, 0);
  EXPECT_EQ(server.engine().stats().num_running, 1);
}

TEST_P(Disconnect, while_in_prefill) {
  TestSetup setup;
  setup.model.step_time = 20ms;
  setup.engine.max_prefill_token_num = 16;
  TestServer server(setup);
  RawClient client = server.connect();
  client.send(post_request("/v1/completions",
                           fmt::format(R"({{"model":"tiny","prompt":"{}","max_tokens":9,"stream":{}}})",
                                       std::string(400, 'a'), streams())));
  ASSERT_TRUE(server.is_busy_within(1s));
  leave(client);
  EXPECT_TRUE(server.is_idle_within(1s));
  EXPECT_EQ(server.engine().stats().num_generated_tokens, 0U);
}

INSTANTIATE_TEST_SUITE_P(Http, Disconnect,
                         ::testing::Combine(::testing::Values(Leave::close, Leave::half_close, Leave::reset),
                                            ::testing::Bool()));

TEST(HalfClose, an_answer_that_is_ready_is_still_delivered) {
  TestServer server;
  RawClient client = server.connect();
  client.send("GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n");
  client.half_close();
  EXPECT_EQ(client.read_reply().status, 200);
  EXPECT_TRUE(client.closed_within(1s));
}

// Streams to a client that reads nothing until its requests are over; true if they ended early.
bool slow_reader_is_cut_off(const ServerOptions& bounds) {
  TestSetup setup;
  setup.model.max_position_embeddings = 1 << 14;
  setup.engine.session_len = 1 << 14;
  setup.engine.cache_bytes = std::int64_t{8} << 20;
  setup.server.max_unsent_bytes = bounds.max_unsent_bytes;
  setup.server.write_timeout = bounds.write_timeout;
  TestServer server(setup);
  RawClient client(server.port(), 4096);
  client.send(post_request("/v1/chat/completions", chat_body(16'000, R"("stream":true,"n":16)")));
  EXPECT_TRUE(server.has_begun_within(1s));
  EXPECT_TRUE(server.is_idle_within(20s));
  return server.engine().stats().num_generated_tokens < 16 * 16'000U;
}

TEST(SlowReader, is_cut_off_by_what_piles_up) {
  ServerOptions bounds;
  bounds.max_unsent_bytes = 64 << 10;
  EXPECT_TRUE(slow_reader_is_cut_off(bounds));
}

TEST(SlowReader, is_cut_off_by_a_write_that_takes_too_long) {
  ServerOptions bounds;
  bounds.max_unsent_bytes = std::size_t{1} << 30;
  bounds.write_timeout = 100ms;
  EXPECT_TRUE(slow_reader_is_cut_off(bounds));
}

TEST(Stop, drains_what_runs_and_refuses_newcomers) {
  TestServer server(slow_setup());
  RawClient idle = server.connect();
  RawClient running = server.connect();
  running.send(post_request("/v1/chat/completions", chat_body(200, R"("stream":true)")));
  ASSERT_TRUE(server.is_busy_within(1s));
  server.server().stop();
  EXPECT_TRUE(idle.closed_within(1s));
  EXPECT_FALSE(server.has_returned_within(20ms));
  const HttpReply reply = running.read_reply();
  EXPECT_EQ(reply.events().back(), "[DONE]");
  EXPECT_TRUE(running.closed_within(1s));
  EXPECT_TRUE(server.has_returned_within(1s));
  EXPECT_THROW(server.connect(), std::runtime_error);
}

TEST(Stop, ends_answers_that_outlast_the_drain) {
  TestSetup setup = slow_setup();
  setup.server.drain_timeout = 50ms;
  TestServer server(setup);
  RawClient running = server.connect();
  running.send(long_request(true));
  ASSERT_TRUE(server.is_busy_within(1s));
  server.server().stop();
  EXPECT_TRUE(server.has_returned_within(1s));
  EXPECT_TRUE(server.is_idle_within(1s));
}

TEST(Stop, a_second_call_ends_everything_at_once) {
  TestServer server(slow_setup());
  RawClient running = server.connect();
  running.send(long_request(false));
  ASSERT_TRUE(server.is_busy_within(1s));
  server.server().stop();
  server.server().stop();
  EXPECT_TRUE(server.has_returned_within(1s));
}

TEST(Stop, comes_with_sigterm_when_nobody_is_connected) {
  TestSetup setup;
  setup.server.handle_signals = true;
  TestServer server(setup);
  EXPECT_EQ(server.get("/health").status, 200);
  std::this_thread::sleep_for(50ms);  // the connection is forgotten by then
  std::raise(SIGTERM);
  EXPECT_TRUE(server.has_returned_within(1s));
}

TEST(Stop, a_second_signal_ends_everything_at_once) {
  TestSetup setup = slow_setup();
  setup.server.handle_signals = true;
  TestServer server(setup);
  RawClient running = server.connect();
  running.send(long_request(true));
  ASSERT_TRUE(server.is_busy_within(1s));
  std::raise(SIGTERM);
  EXPECT_FALSE(server.has_returned_within(50ms));
  std::raise(SIGINT);
  EXPECT_TRUE(server.has_returned_within(1s));
}

TEST(Listen, a_port_in_use_is_an_error_with_a_remedy) {
  TestServer first;
  TestSetup setup;
  setup.server.server_port = first.port();
  try {
    TestServer second(setup);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.problem().find("in use"), std::string::npos) << e.problem();
    EXPECT_NE(e.remedy().find("--server-port"), std::string::npos);
  }
  setup.server.server_name = "no-such-host.invalid";
  EXPECT_THROW(TestServer{setup}, Error);
}

}  // namespace
}  // namespace lmdeploy::testing
