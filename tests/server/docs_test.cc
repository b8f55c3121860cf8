// The documentation page: whole, from this program only, under a policy that it keeps.
#include <gtest/gtest.h>

#include <regex>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

std::vector<std::string> matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex); it != std::sregex_iterator(); ++it)
    found.push_back((*it)[1]);
  return found;
}

TEST(Docs, the_page_and_all_that_it_refers_to_come_from_here) {
  const TestServer server;
  for (const char* path : {"/", "/docs"}) {
    const HttpReply page = server.get(path);
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
    const auto files = matches(page.body, R"re((?:src|href)="([^"]+)")re");
    EXPECT_EQ(files.size(), 5u);  // an empty icon, a style, two scripts, the document
    for (const std::string& file : files) {
      if (file == "data:,") continue;
      EXPECT_EQ(file.find(':'), std::string::npos) << file;
      EXPECT_EQ(server.get("/" + file).status, 200) << file;
    }
  }
}

TEST(Docs, swagger_ui_is_whole) {
  const TestServer server;
  const HttpReply script = server.get("/docs/swagger-ui-bundle.js");
  EXPECT_TRUE(script.complete);
  EXPECT_EQ(script.headers.at("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(script.body.size(), 1'526'593u);
  const HttpReply style = server.get("/docs/swagger-ui.css");
  EXPECT_EQ(style.headers.at("content-type"), "text/css; charset=utf-8");
  EXPECT_EQ(style.body.size(), 178'977u);
}

TEST(Docs, the_policy_allows_nothing_inline_and_nothing_from_elsewhere) {
  const TestServer server;
  const HttpReply page = server.get("/");
  const std::string policy = page.headers.at("content-security-policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none';"));
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http"), std::string::npos);
  EXPECT_EQ(policy.find('*'), std::string::npos);
  EXPECT_TRUE(matches(page.body, R"re(<script>|<style>( )|( on[a-z]+=)|( style=))re").empty());
}

TEST(Docs, an_unknown_file_is_404) {
  const TestServer server;
  for (const char* path : {"/docs/", "/docs/nothing.js", "/docs/../../etc/passwd", "/docs/%2e%2e/secret"})
    EXPECT_EQ(server.get(path).status, 404) << path;
}

TEST(Docs, need_no_key_and_can_be_turned_off) {
  TestSetup with_key;
  with_key.server.api_keys = {"secret"};
  const TestServer closed(with_key);
  EXPECT_EQ(closed.get("/").status, 200);
  const HttpReply document = closed.get("/openapi.json");
  EXPECT_EQ(document.status, 200);
  EXPECT_TRUE(parse_json(document.body)["components"].contains("securitySchemes"));
  EXPECT_EQ(document.body.find("secret"), std::string::npos);
  TestSetup without;
  without.server.disable_fastapi_docs = true;
  const TestServer none(without);
  for (const char* path : {"/", "/docs", "/docs/start.js", "/openapi.json"})
    EXPECT_EQ(none.get(path).status, 404) << path;
}

}  // namespace
}  // namespace lmdeploy::testing
