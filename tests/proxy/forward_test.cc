// What passes from one connection to the other, and what belongs to one of them.
#include "proxy/forward.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "proxy/page_proxy.h"

namespace lmdeploy {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Not;
using ::testing::StartsWith;

HttpRequest request_with(std::vector<HttpHeader> headers) {
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.query = "a=1&b";
  request.headers = std::move(headers);
  request.body = "{}";
  request.remote = "10.1.2.3:4567";
  request.id = "req-1";
  return request;
}

TEST(Forward, keeps_method_path_query_and_body) {
  HttpRequest request = request_with({});
  request.path = "/v1/models/a b/\xc3\xa9";
  const client::HttpRequest forwarded = forwarded_request(request, "http://host:1/base");
  EXPECT_EQ(forwarded.method, "POST");
  EXPECT_EQ(forwarded.url, "http://host:1/base/v1/models/a%20b/%C3%A9?a=1&b");
  EXPECT_EQ(forwarded.body, "{}");
}

TEST(Forward, passes_what_is_for_the_server_on) {
  const auto headers = forwarded_request(request_with({{"Authorization", "Bearer k"},
                                                       {"x-api-key", "k"},
                                                       {"Content-Type", "application/json"},
                                                       {"X-Empty", ""}}),
                                         "http://host:1")
                           .headers;
  for (const char* line : {"Authorization: Bearer k", "x-api-key: k", "Content-Type: application/json",
                           "X-Empty;", "x-request-id: req-1", "X-Forwarded-For: 10.1.2.3"})
    EXPECT_THAT(headers, Contains(line));
}

TEST(Forward, leaves_out_what_belongs_to_the_connection) {
  const auto headers = forwarded_request(request_with({{"Host", "page"},
                                                       {"Connection", "keep-alive, X-Hop"},
                                                       {"X-Hop", "1"},
                                                       {"Content-Length", "2"},
                                                       {"Transfer-Encoding", "chunked"},
                                                       {"Upgrade", "h2c"}}),
                                         "http://host:1")
                           .headers;
  for (const char* name : {"Host", "Connection", "X-Hop", "Content-Length", "Transfer-Encoding", "Upgrade"})
    EXPECT_THAT(headers, Each(Not(StartsWith(name)))) << name;
}

TEST(Forward, passes_the_answers_head_on) {
  client::HttpResponse response;
  response.status = 429;
  response.headers = {{"Retry-After", "3"},      {"Content-Type", "application/json"},
                      {"Content-Length", "7"},   {"Connection", "close"},
                      {"Date", "today"},         {"Content-Encoding", "gzip"},
                      {"x-request-id", "theirs"}};
  const HttpResponse head = forwarded_head(response);
  EXPECT_EQ(head.status, 429);
  ASSERT_EQ(head.headers.size(), 3u);
  EXPECT_EQ(*find_header(head.headers, "Retry-After"), "3");
  EXPECT_EQ(*find_header(head.headers, "Content-Encoding"), "gzip");
}

TEST(Forward, reads_urls_as_users_write_them) {
  EXPECT_EQ(normalized_upstream("localhost:23333"), "http://localhost:23333");
  EXPECT_EQ(normalized_upstream("http://h:1/"), "http://h:1");
  EXPECT_EQ(normalized_upstream("https://h/base/v1/"), "https://h/base");
  EXPECT_THROW(normalized_upstream("ftp://h"), Error);
  EXPECT_THROW(normalized_upstream("http://"), Error);
}

}  // namespace
}  // namespace lmdeploy
