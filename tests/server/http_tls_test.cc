// The same server behind TLS.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "server/certificate.h"
#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

class HttpTls : public ::testing::Test {
 protected:
  TestSetup setup(std::chrono::milliseconds step_time = 0ms) const {
    TestSetup setup;
    setup.model.step_time = step_time;
    setup.server.ssl_keyfile = certificate_.key_file;
    setup.server.ssl_certfile = certificate_.cert_file;
    return setup;
  }
  static RawClient connect(const TestServer& server) {
    RawClient client = server.connect();
    EXPECT_TRUE(client.start_tls());
    return client;
  }
  // What making a server with these files says.
  static std::string refusal(const std::filesystem::path& key, const std::filesystem::path& cert) {
    TestSetup bad;
    bad.server.ssl_keyfile = key;
    bad.server.ssl_certfile = cert;
    try {
      TestServer server(bad);
    } catch (const Error& e) {
      return fmt::format("{} {}", e.problem(), e.remedy());
    }
    return "";
  }

  TempFolder folder_;
  Certificate certificate_{folder_};
};

TEST_F(HttpTls, serves_one_request_after_another_and_pipelined) {
  TestServer server(setup());
  RawClient client = connect(server);
  const std::string request = post_request("/v1/completions", completion_body(3));
  const std::string plain_body = [&] {
    client.send(request);
    return client.read_reply().body;
  }();
  EXPECT_EQ(parse_json(plain_body)["usage"]["completion_tokens"], 3);
  client.send(request + request + "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 200);
  EXPECT_EQ(client.read_reply().status, 200);
  EXPECT_EQ(client.read_reply().body, R"({"status":"ok"})");
  EXPECT_TRUE(client.closed_within(1s));
}

TEST_F(HttpTls, the_next_request_may_come_while_an_answer_streams) {
  TestServer server(setup(1ms));
  RawClient client = connect(server);
  for (int i = 0; i < 3; ++i) {
    client.send(post_request("/v1/chat/completions", chat_body(60, R"("stream":true)")));
    const std::string next = post_request("/v1/completions", completion_body(3));
    std::this_thread::sleep_for(10ms);
    client.send(next.substr(0, 30));
    std::this_thread::sleep_for(10ms);
    client.send(next.substr(30));
    EXPECT_EQ(client.read_reply().events().back(), "[DONE]");
    EXPECT_EQ(client.read_reply().status, 200);
  }
}

TEST_F(HttpTls, takes_a_large_body) {
  TestServer server(setup());
  RawClient client = connect(server);
  client.send(post_request("/tokenize", fmt::format(R"({{"prompt":"{}"}})", std::string(400, 'a'))));
  EXPECT_EQ(parse_json(client.read_reply().body)["count"], 400);
  client.send(post_request("/v1/completions", completion_body(1) + std::string(3 << 20, ' ')));
  EXPECT_EQ(client.read_reply().status, 200);
}

TEST_F(HttpTls, a_client_that_leaves_ends_its_answer) {
  for (const auto leave : {&RawClient::close, &RawClient::half_close, &RawClient::reset}) {
    TestServer server(setup(1ms));
    RawClient client = connect(server);
    client.send(post_request("/v1/chat/completions", chat_body(450, R"("stream":true)")));
    ASSERT_TRUE(server.is_busy_within(1s));
    (client.*leave)();
    EXPECT_TRUE(server.is_idle_within(1s));
    EXPECT_LT(server.engine().stats().num_generated_tokens, 400U);
  }
}

TEST_F(HttpTls, what_is_no_handshake_is_closed) {
  TestSetup quick = setup();
  quick.server.header_timeout = 100ms;
  TestServer server(quick);
  RawClient plain = server.connect();
  plain.send("GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(plain.closed_within(1s));
  RawClient silent = server.connect();
  EXPECT_TRUE(silent.closed_within(1s));
}

TEST_F(HttpTls, drains) {
  TestServer server(setup(1ms));
  RawClient client = connect(server);
  client.send(post_request("/v1/chat/completions", chat_body(100, R"("stream":true)")));
  ASSERT_TRUE(server.is_busy_within(1s));
  server.server().stop();
  RawClient newcomer = connect(server);
  newcomer.send(post_request("/v1/completions", completion_body(1)));
  EXPECT_EQ(newcomer.read_reply().status, 503);
  EXPECT_EQ(client.read_reply().events().back(), "[DONE]");
  EXPECT_TRUE(server.has_returned_within(2s));
}

TEST_F(HttpTls, files_that_do_not_serve_are_named) {
  const std::string missing = folder_ / "none.pem";
  EXPECT_NE(refusal(certificate_.key_file, missing).find(missing), std::string::npos);
  EXPECT_NE(refusal(missing, certificate_.cert_file).find("SSL_KEYFILE"), std::string::npos);
  const auto garbage =
      folder_.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
  EXPECT_NE(refusal(certificate_.key_file, garbage).find("certificate"), std::string::npos);
  EXPECT_NE(refusal(encrypted_key(folder_, certificate_), certificate_.cert_file).find("passphrase"),
            std::string::npos);
  const Certificate other(folder_, "other");
  EXPECT_NE(refusal(other.key_file, certificate_.cert_file).find("mismatch"), std::string::npos);
}

}  // namespace
}  // namespace lmdeploy::testing
