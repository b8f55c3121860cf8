// The page's port in front of a real server: answers pass as they are, streams piece by piece.
#include "proxy/page_proxy.h"

#include <gmock/gmock.h>

#include <optional>

#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using ::testing::HasSubstr;

class PageProxyTest : public ::testing::Test {
 protected:
  explicit PageProxyTest(TestSetup setup = {}) : upstream_(std::in_place, setup) {
    options_.server_name = "127.0.0.1";
    options_.server_port = 0;
    options_.handle_signals = false;
    proxy_.emplace(options_, "127.0.0.1:" + std::to_string(upstream_->port()));
  }

  HttpReply get(const std::string& path, const std::string& more_headers = "") const {
    RawClient client(proxy_->port());
    client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + more_headers + "\r\n");
    return client.read_reply();
  }
  HttpReply post(const std::string& path, const std::string& json,
                 const std::string& more_headers = "") const {
    RawClient client(proxy_->port());
    client.send(post_request(path, json, more_headers));
    return client.read_reply();
  }

  std::optional<TestServer> upstream_;
  ServerOptions options_;
  std::optional<PageProxy> proxy_;
};

TEST_F(PageProxyTest, the_page_is_at_the_root_and_the_api_behind_it) {
  EXPECT_THAT(get("/").body, HasSubstr("./chat/page.js"));
  EXPECT_EQ(get("/").body, get("/chat").body);
  EXPECT_EQ(get("/v1/models").body, upstream_->get("/v1/models").body);
  EXPECT_EQ(get("/docs/swagger-ui-bundle.js").body.size(),
            upstream_->get("/docs/swagger-ui-bundle.js").body.size());
}

TEST_F(PageProxyTest, answers_and_errors_pass_as_they_are) {
  const std::string body = completion_body(4, R"("temperature": 0)");
  EXPECT_EQ(parse_json(post("/v1/completions", body).body)["choices"],
            parse_json(upstream_->post("/v1/completions", body).body)["choices"]);
  const HttpReply refused = post("/v1/completions", completion_body(4, R"("temperature": -1)"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(parse_json(refused.body)["error"]["param"], "temperature");
  for (const char* path : {"/nothing", "/v1/../metrics", "/%2e%2e/metrics", "/..", "/./metrics"})
    EXPECT_EQ(get(path).status, 404) << path;
}

TEST_F(PageProxyTest, a_stream_passes_whole) {
  const std::string body = completion_body(40, R"("temperature": 0, "stream": true)");
  const HttpReply through = post("/v1/completions", body);
  EXPECT_TRUE(through.complete);
  EXPECT_EQ(through.headers.at("content-type"),
            upstream_->post("/v1/completions", body).headers.at("content-type"));
  EXPECT_EQ(through.events().size(), upstream_->post("/v1/completions", body).events().size());
  EXPECT_EQ(through.events().back(), "[DONE]");
}

TEST_F(PageProxyTest, preflights_reach_the_server) {
  RawClient client(proxy_->port());
  client.send(
      "OPTIONS /v1/completions HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\nAccess-Control-Request-Method: "
      "POST\r\n\r\n");
  const HttpReply reply = client.read_reply(true);
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "*");
}

TEST_F(PageProxyTest, a_server_that_is_gone_is_502_until_it_is_back) {
  upstream_.reset();
  const HttpReply reply = post("/v1/completions", completion_body(4));
  EXPECT_EQ(reply.status, 502);
  EXPECT_THAT(std::string(parse_json(reply.body)["error"]["message"]), HasSubstr("does not answer"));
  EXPECT_EQ(get("/chat").status, 200);
}

class SlowPageProxyTest : public PageProxyTest {
 protected:
  SlowPageProxyTest() : PageProxyTest(slow_setup()) {}
};

TEST_F(SlowPageProxyTest, pieces_come_as_they_are_made) {
  RawClient client(proxy_->port());
  client.send(post_request("/v1/completions", completion_body(400, R"("stream": true)")));
  std::string begin;
  for (std::string piece; begin.find("data: ") == std::string::npos; begin += piece) {
    piece = client.read_some();
    ASSERT_NE(piece, "") << begin;
  }
  EXPECT_TRUE(upstream_->is_busy_within(std::chrono::seconds(2)));
  EXPECT_EQ(begin.find("[DONE]"), std::string::npos);
}

TEST_F(SlowPageProxyTest, a_client_that_leaves_ends_the_answer) {
  RawClient client(proxy_->port());
  client.send(post_request("/v1/completions", completion_body(400, R"("stream": true)")));
  ASSERT_TRUE(upstream_->is_busy_within(std::chrono::seconds(2)));
  client.close();
  EXPECT_TRUE(upstream_->is_idle_within(std::chrono::milliseconds(350)));
}

TEST_F(SlowPageProxyTest, a_server_that_goes_in_a_stream_leaves_an_error_in_it) {
  RawClient client(proxy_->port());
  client.send(post_request("/v1/completions", completion_body(400, R"("stream": true)")));
  ASSERT_TRUE(upstream_->has_begun_within(std::chrono::seconds(2)));
  upstream_.reset();
  const HttpReply reply = client.read_reply();
  EXPECT_TRUE(reply.complete);
  EXPECT_THAT(reply.events().back(), HasSubstr("does not answer"));
}

TEST_F(SlowPageProxyTest, many_at_once) {
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(proxy_->port());
    clients.back().send(post_request("/v1/completions", completion_body(20, R"("stream": true)")));
  }
  for (RawClient& client : clients) EXPECT_EQ(client.read_reply().events().back(), "[DONE]");
}

}  // namespace
}  // namespace lmdeploy::testing
