// Requests that no honest client sends: each is answered with the right status, and the server goes on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

class HttpHostile : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<TestServer>(); }
  static void TearDownTestSuite() { server_ = nullptr; }

  // Every refusal is OpenAI's error object; afterwards the next client is served.
  static HttpReply send(const std::string& bytes) {
    RawClient client = server_->connect();
    client.send(bytes);
    HttpReply reply = client.read_reply();
    if (reply.status >= 400) {
      EXPECT_TRUE(reply.complete);
      EXPECT_FALSE(parse_json(reply.body)["error"]["message"].get<std::string>().empty());
      EXPECT_FALSE(reply.headers["x-request-id"].empty());
    }
    EXPECT_EQ(server_->get("/health").status, 200);
    return reply;
  }
  static int status_of(const std::string& bytes) { return send(bytes).status; }

  static std::unique_ptr<TestServer> server_;
};
std::unique_ptr<TestServer> HttpHostile::server_;

TEST_F(HttpHostile, framing) {
  const std::string post = "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
  EXPECT_EQ(status_of("GET /health HTTP/1.1\nHost: h\n\n"), 400);
  EXPECT_EQ(status_of(post + "Content-Length: x\r\n\r\n"), 400);
  EXPECT_EQ(status_of(post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), 400);
  EXPECT_EQ(status_of(post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(status_of(post + "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n"), 413);
  EXPECT_EQ(status_of(post + "Content-Length: 99999999\r\n\r\n"), 413);
  EXPECT_EQ(status_of(post + "\r\n"), 411);
  EXPECT_EQ(status_of("GET /health HTTP/3.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(status_of(std::string("\x16\x03\x01\x00\xa5\x01", 6)), 400);
}

TEST_F(HttpHostile, headers) {
  std::string many = "GET /health HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 10'000; ++i) many += fmt::format("X-{}: y\r\n", i);
  EXPECT_EQ(status_of(many + "\r\n"), 431);
  EXPECT_EQ(status_of("GET /health HTTP/1.1\r\nHost: h\r\nX: " + std::string(1 << 20, 'a') + "\r\n\r\n"),
            431);
  EXPECT_EQ(status_of("GET /health HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET /health HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
  const std::string post = "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n";
  EXPECT_EQ(status_of(post + "Content-Type: text/plain\r\n\r\n{}"), 415);
  EXPECT_EQ(status_of(post + "Content-Type: application/x-www-form-urlencoded\r\n\r\n{}"), 415);
  EXPECT_EQ(status_of(post + "Content-Encoding: gzip\r\n\r\n{}"), 415);
  EXPECT_EQ(status_of(post + "Content-Type: application/json; charset=utf-8\r\n\r\n{}"), 400);
  EXPECT_EQ(status_of(post + "Expect: a-miracle\r\n\r\n{}"), 417);
}

TEST_F(HttpHostile, targets) {
  const auto get = [](const std::string& target) {
    return status_of("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
  };
  EXPECT_EQ(get("/health"), 200);
  EXPECT_EQ(get("/health?x=1"), 200);
  EXPECT_EQ(get("http://other.example/health"), 200);
  EXPECT_EQ(get("/%68ealth"), 200);
  for (const char* target : {"//v1/models", "//health", "/v1//models", "/v1/%2e%2e/health", "/v1/../health",
                             "/health/", "/Health", "/v1/models/", "/v1/models/other", "http://h//health"})
    EXPECT_EQ(get(target), 404) << target;
  for (const char* target : {"/%zz", "/%", "/%00", "*", "health"}) EXPECT_EQ(get(target), 400) << target;
}

TEST_F(HttpHostile, methods) {
  HttpReply reply = send("POST /health HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.headers["allow"], "GET, HEAD, OPTIONS");
  reply = send("GET /v1/chat/completions HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.headers["allow"], "OPTIONS, POST");
  EXPECT_EQ(status_of("BREW /health HTTP/1.1\r\nHost: h\r\n\r\n"), 405);
  EXPECT_EQ(status_of("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  reply = send("OPTIONS /v1/models HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.headers["allow"], "GET, HEAD, OPTIONS");
  EXPECT_EQ(status_of("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 204);

  RawClient client = server_->connect();
  client.send("HEAD /v1/models HTTP/1.1\r\nHost: h\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n");
  reply = client.read_reply(true);
  EXPECT_EQ(reply.status, 200);
  EXPECT_NE(reply.headers["content-length"], "0");
  EXPECT_EQ(client.read_reply().body, R"({"status":"ok"})");
}

TEST_F(HttpHostile, bodies) {
  const auto post = [](const std::string& body) {
    return status_of(post_request("/v1/chat/completions", body));
  };
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string(100'000, '['),
        std::string("{\"model\":\"tiny\"}"), std::string("{\"a\":1,\"a\":2}"), std::string("\"\xff\""),
        std::string("\"\\ud800\""), std::string(1, '\0'),
        std::string("{\"model\":\"tiny\",\"messages\":\"x\",\"temperature\":1e400}")})
    EXPECT_EQ(post(body), 400) << body.substr(0, 60);
  EXPECT_EQ(post(std::string((4 << 20) + 1, ' ')), 413);
}

TEST_F(HttpHostile, a_refused_upload_reads_its_answer_before_the_close) {
  RawClient client = server_->connect();
  client.send("POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n");
  client.send(std::string(4'000'000, 'x'));
  const HttpReply reply = client.read_reply();
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(client.closed_within(std::chrono::seconds(1)));
}

TEST_F(HttpHostile, slow_header_and_slow_body_end_with_408) {
  RawClient slow_header = server_->connect();
  slow_header.send("GET /health HTTP/1.1\r\nHo");
  EXPECT_EQ(slow_header.read_reply().status, 408);
  RawClient slow_body = server_->connect();
  slow_body.send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_EQ(slow_body.read_reply().status, 408);
}

TEST_F(HttpHostile, a_drip_of_header_bytes_does_not_extend_the_deadline) {
  RawClient client = server_->connect();
  const auto start = std::chrono::steady_clock::now();
  client.send("GET /health HTTP/1.1\r\n");
  for (int i = 0; i < 100 && !client.closed_within(std::chrono::milliseconds(20)); ++i)
    client.send("X: y\r\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

TEST_F(HttpHostile, cut_connections_leave_nothing_behind) {
  const std::string whole = post_request("/v1/completions", completion_body(4));
  for (std::size_t len = 0; len < whole.size(); len += 5) {
    RawClient client = server_->connect();
    client.send(std::string_view(whole).substr(0, len));
    if (len % 2 == 0) client.reset();
  }
  EXPECT_EQ(server_->get("/health").status, 200);
  EXPECT_TRUE(server_->is_idle_within(std::chrono::seconds(1)));
}

}  // namespace
}  // namespace lmdeploy::testing
