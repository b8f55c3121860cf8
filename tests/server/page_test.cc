// The chat page: whole, compressed, kept by browsers, from this program only, there before the model is.
#include <gmock/gmock.h>

#include "server/page_files.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Page, the_page_and_its_script_come_from_here) {
  const TestServer server;
  const HttpReply page = server.get("/chat");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("src=\"./chat/page.js\""));
  const HttpReply script = server.get("/chat/page.js");
  EXPECT_EQ(script.status, 200);
  EXPECT_EQ(script.headers.at("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(script.body, find_page_file("chat/page.js")->bytes);
}

TEST(Page, the_policy_allows_no_script_within_and_nothing_from_elsewhere) {
  const TestServer server;
  const std::string policy = server.get("/chat").headers.at("content-security-policy");
  EXPECT_THAT(policy, StartsWith("default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr "));
  EXPECT_EQ(policy.find("unsafe"), policy.rfind("unsafe"));  // of style attributes only
  EXPECT_EQ(policy.find("http"), std::string::npos);
  EXPECT_EQ(policy.find('*'), std::string::npos);
}

TEST(Page, comes_compressed_where_the_browser_can_read_that) {
  const TestServer server;
  for (const char* header : {"Accept-Encoding: gzip\r\n", "Accept-Encoding: br, gzip;q=0.5\r\n"}) {
    const HttpReply script = server.get("/chat/page.js", header);
    EXPECT_EQ(script.headers.at("content-encoding"), "gzip") << header;
    EXPECT_EQ(script.body, find_page_file("chat/page.js")->gzip_bytes) << header;
  }
  for (const char* header : {"", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n"})
    EXPECT_FALSE(server.get("/chat/page.js", header).headers.contains("content-encoding")) << header;
}

TEST(Page, is_sent_once) {
  const TestServer server;
  const std::string etag = server.get("/chat").headers.at("etag");
  for (const std::string& known : {etag, "\"other\", W/" + etag, std::string("*")}) {
    const HttpReply again = server.get("/chat", "If-None-Match: " + known + "\r\n");
    EXPECT_EQ(again.status, 304) << known;
    EXPECT_EQ(again.body, "") << known;
  }
  EXPECT_EQ(server.get("/chat", "If-None-Match: \"other\"\r\n").status, 200);
  EXPECT_EQ(server.get("/chat", "Accept-Encoding: gzip\r\nIf-None-Match: " + etag + "\r\n").status, 200);
}

TEST(Page, is_small) {
  std::size_t num_bytes = 0;
  for (const PageFile& file : page_files()) num_bytes += std::min(file.bytes.size(), file.gzip_bytes.size());
  EXPECT_GT(num_bytes, 100'000u);
  EXPECT_LE(num_bytes, 1'500'000u);
}

TEST(Page, an_unknown_file_is_404) {
  const TestServer server;
  for (const char* path : {"/chat/", "/chat/nothing.js", "/chat/index.html", "/chat/../../etc/passwd",
                           "/chat/%2e%2e/index.html", "/index.html"})
    EXPECT_EQ(server.get(path).status, 404) << path;
}

TEST(Page, needs_no_key_and_can_be_turned_off) {
  TestSetup with_key;
  with_key.server.api_keys = {"secret"};
  EXPECT_EQ(TestServer(with_key).get("/chat").status, 200);
  TestSetup without;
  without.server.disable_page = true;
  const TestServer none(without);
  for (const char* path : {"/chat", "/chat/page.js"}) EXPECT_EQ(none.get(path).status, 404) << path;
  EXPECT_EQ(none.get("/").status, 200);
}

TEST(Page, stands_at_the_root_where_that_is_wanted) {
  TestSetup setup;
  setup.server.page_at_root = true;
  const TestServer server(setup);
  EXPECT_EQ(server.get("/").body, server.get("/chat").body);
  EXPECT_THAT(server.get("/docs").body, HasSubstr("swagger-ui"));
}

TEST(Page, is_there_while_the_model_is_loaded) {
  ServerOptions options;
  options.server_name = "127.0.0.1";
  options.server_port = 0;
  Server server(options);
  for (const char* path : {"/chat", "/chat/page.js"}) {
    RawClient client(server.port());
    client.send(std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.read_reply().status, 200) << path;
  }
}

}  // namespace
}  // namespace lmdeploy::testing
