// Keys and origins.
#include <gtest/gtest.h>

#include "server/api_keys.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

TEST(ApiKeys, every_route_but_health_and_docs_asks_for_one) {
  TestSetup setup;
  setup.server.api_keys = {"alpha", "beta"};
  TestServer server(setup);
  EXPECT_EQ(server.get("/health").status, 200);
  for (const char* path :
       {"/v1/models", "/v1/models/tiny", "/v1/chat/completions", "/nowhere", "/metrics", "/generate",
        "/abort_request", "/v1/encode", "/tokenize", "/detokenize", "/v1/chat/interactive", "//health"}) {
    const HttpReply reply = server.get(path);
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
  }
  EXPECT_EQ(server.post("/v1/completions", completion_body(1)).status, 401);
  EXPECT_EQ(server.get("/v1/models", "Authorization: Bearer alpha\r\n").status, 200);
  EXPECT_EQ(server.get("/v1/models", "authorization: bearer beta\r\n").status, 200);
  EXPECT_EQ(server.get("/v1/models", "x-api-key: beta\r\n").status, 200);
  for (const char* header :
       {"Authorization: Bearer gamma\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n",
        "Authorization: Basic alpha\r\n", "Authorization: alpha\r\n", "x-api-key: alph\r\n",
        "x-api-key: alphaalpha\r\n", "x-api-key: \r\n", "Authorization: Bearer alpha,beta\r\n"})
    EXPECT_EQ(server.get("/v1/models", header).status, 401) << header;
}

TEST(ApiKeys, an_empty_key_never_matches) {
  HttpRequest request;
  request.headers = {{"x-api-key", ""}};
  EXPECT_FALSE(has_valid_key(request, {""}));
}

TEST(Cors, the_default_lets_every_origin_read) {
  TestServer server;
  const HttpReply reply = server.get("/v1/models", "Origin: https://a.example\r\n");
  EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "*");
  EXPECT_FALSE(reply.headers.contains("access-control-allow-credentials"));
  EXPECT_FALSE(server.get("/v1/models").headers.contains("access-control-allow-origin"));
  EXPECT_EQ(server.get("/nowhere", "Origin: https://a.example\r\n").headers.at("access-control-allow-origin"),
            "*");
}

TEST(Cors, a_preflight_needs_no_key) {
  TestSetup setup;
  setup.server.api_keys = {"alpha"};
  TestServer server(setup);
  RawClient client = server.connect();
  client.send(
      "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n"
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, "
      "content-type\r\n\r\n");
  const HttpReply reply = client.read_reply();
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.headers.at("access-control-allow-methods"), "OPTIONS, POST");
  EXPECT_EQ(reply.headers.at("access-control-allow-headers"), "authorization, content-type");
  EXPECT_EQ(reply.headers.at("access-control-allow-origin"), "*");
}

TEST(Cors, named_origins_with_credentials) {
  TestSetup setup;
  setup.server.allow_origins = {"https://a.example"};
  setup.server.allow_methods = {"GET"};
  setup.server.allow_headers = {"x-one", "x-two"};
  setup.server.allow_credentials = true;
  TestServer server(setup);
  const HttpReply allowed = server.get("/v1/models", "Origin: https://a.example\r\n");
  EXPECT_EQ(allowed.headers.at("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(allowed.headers.at("access-control-allow-credentials"), "true");
  EXPECT_EQ(allowed.headers.at("vary"), "Origin");
  EXPECT_FALSE(server.get("/v1/models", "Origin: https://b.example\r\n")
                   .headers.contains("access-control-allow-origin"));
  RawClient client = server.connect();
  client.send(
      "OPTIONS /v1/models HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: "
      "GET\r\n\r\n");
  const HttpReply preflight = client.read_reply();
  EXPECT_EQ(preflight.headers.at("access-control-allow-methods"), "GET");
  EXPECT_EQ(preflight.headers.at("access-control-allow-headers"), "x-one, x-two");
}

TEST(RequestId, a_sane_one_of_the_clients_is_kept) {
  TestServer server;
  EXPECT_EQ(server.get("/health", "x-request-id: abc-1.2\r\n").headers.at("x-request-id"), "abc-1.2");
  EXPECT_NE(server.get("/health", "x-request-id: a b\r\n").headers.at("x-request-id"), "a b");
  const std::string long_id(200, 'a');
  EXPECT_NE(server.get("/health", "x-request-id: " + long_id + "\r\n").headers.at("x-request-id"), long_id);
}

}  // namespace
}  // namespace lmdeploy::testing
