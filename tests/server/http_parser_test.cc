#include "server/http_parser.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

using namespace std::string_literals;

using Progress = HttpParser::Progress;

// Feeds the bytes in pieces of `piece_len` and returns the first outcome that is no need_more after the
// header.
struct Parsed {
  Progress progress = Progress::need_more;
  HttpRequest request;
  int status = 0;
  std::string left_over;
};

Parsed parse(std::string_view bytes, std::size_t piece_len, const HttpLimits& limits = {}) {
  HttpParser parser(limits);
  std::string input;
  Parsed parsed;
  while (true) {
    parsed.progress = parser.advance(input);
    if (parsed.progress == Progress::header_done) continue;
    if (parsed.progress != Progress::need_more || bytes.empty()) break;
    input += bytes.substr(0, piece_len);
    bytes.remove_prefix(std::min(piece_len, bytes.size()));
  }
  if (parsed.progress == Progress::failed) parsed.status = parser.error().status;
  if (parsed.progress == Progress::done) parsed.request = std::move(parser.request());
  parsed.left_over = input + std::string(bytes);
  return parsed;
}

// Whatever the pieces in which the bytes come.
void expect_status(std::string_view bytes, int status, const HttpLimits& limits = {}) {
  for (const std::size_t piece_len : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    const Parsed parsed = parse(bytes, piece_len, limits);
    EXPECT_EQ(parsed.progress, Progress::failed) << bytes.substr(0, 80) << " in pieces of " << piece_len;
    EXPECT_EQ(parsed.status, status) << bytes.substr(0, 80) << " in pieces of " << piece_len;
  }
}

TEST(HttpParser, reads_a_body_by_length_in_any_pieces) {
  const std::string bytes = "POST /v1/x?a=b HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\n\r\nhelloGET";
  for (std::size_t piece_len = 1; piece_len <= bytes.size(); ++piece_len) {
    const Parsed parsed = parse(bytes, piece_len);
    ASSERT_EQ(parsed.progress, Progress::done);
    EXPECT_EQ(parsed.request.method, "POST");
    EXPECT_EQ(parsed.request.path, "/v1/x");
    EXPECT_EQ(parsed.request.query, "a=b");
    EXPECT_EQ(parsed.request.body, "hello");
    EXPECT_TRUE(parsed.request.keep_alive);
    EXPECT_EQ(parsed.left_over, "GET");
  }
}

TEST(HttpParser, reads_a_chunked_body_and_drops_its_trailer) {
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nAuthorization: Bearer late\r\n\r\nrest";
  for (std::size_t piece_len = 1; piece_len <= bytes.size(); ++piece_len) {
    const Parsed parsed = parse(bytes, piece_len);
    ASSERT_EQ(parsed.progress, Progress::done) << piece_len;
    EXPECT_EQ(parsed.request.body, "abcde");
    EXPECT_EQ(parsed.request.header("Authorization"), nullptr);
    EXPECT_EQ(parsed.left_over, "rest");
  }
}

// The last chunk in two pieces, the second of one byte: an assertion of Beast 1.81 ended the process.
TEST(HttpParser, reads_an_empty_chunked_body_in_any_pieces) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* end : {"0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0;x=y\r\n\r\n", "1\r\nz\r\n0\r\n\r\n"}) {
    const std::string bytes = head + end;
    for (std::size_t piece_len = 1; piece_len <= bytes.size(); ++piece_len)
      ASSERT_EQ(parse(bytes, piece_len).progress, Progress::done) << end << " in pieces of " << piece_len;
  }
}

TEST(HttpParser, http_1_0_needs_no_host_and_keeps_alive_only_when_asked) {
  Parsed parsed = parse("GET / HTTP/1.0\r\n\r\n", 100);
  EXPECT_EQ(parsed.progress, Progress::done);
  EXPECT_FALSE(parsed.request.keep_alive);
  parsed = parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 100);
  EXPECT_TRUE(parsed.request.keep_alive);
}

TEST(HttpParser, refuses_ambiguous_framing) {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  expect_status(post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400);
  expect_status(post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400);
  expect_status(post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
  expect_status(post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400);
  expect_status(post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
  expect_status(post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
  expect_status(post + "Transfer-Encoding: identity\r\n\r\n", 501);
  for (const char* length : {"-1", "+3", "3x", "0x3", "", "99999999999999999999999", "3 4"})
    expect_status(post + "Content-Length: " + length + "\r\n\r\nabc", 400);
}

TEST(HttpParser, refuses_bad_chunks) {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_status(post + "x\r\nabc\r\n", 400);
  expect_status(post + "-1\r\nabc\r\n", 400);
  expect_status(post + "-1\r\n", 400);
  expect_status(post + "fffffffffffffffff\r\n", 400);
  expect_status(post + "ffffffffffffffff\r\n", 413);
  expect_status(post + "7fffffff\r\n", 413);
  expect_status(post + "3\r\nabcX\r\n0\r\n\r\n", 400);
  expect_status(post + "3;" + std::string(20'000, 'x'), 400);
}

TEST(HttpParser, refuses_malformed_heads) {
  expect_status("GET / HTTP/1.1\nHost: h\n\n", 400);
  expect_status("GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400);
  expect_status("GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n folded\r\n\r\n", 400);
  expect_status("GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400);
  expect_status("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400);
  expect_status("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"s, 400);
  expect_status("GET /\r\n\r\n", 400);
  expect_status("GET / HTTP/2.0\r\n\r\n", 505);
  expect_status("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 505);
  expect_status("\x16\x03\x01\x02\x00\x01", 400);
  expect_status("GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-maybe\r\n\r\n", 417);
}

TEST(HttpParser, names_what_it_refuses_where_it_can) {
  HttpParser parser({.max_header_bytes = 1000, .max_body_bytes = 10});
  std::string input = "POST /v1/x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n";
  EXPECT_EQ(parser.advance(input), HttpParser::Progress::failed);
  EXPECT_EQ(parser.request().method, "POST");
  EXPECT_EQ(parser.request().path, "/v1/x");
}

TEST(HttpParser, asks_for_one_valid_host) {
  expect_status("GET / HTTP/1.1\r\n\r\n", 400);
  expect_status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
  for (const char* host : {"", "a b", "a/b", "a:b", "a:123456", "[::1", "@", "a\x80"})
    expect_status(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n", 400);
  for (const char* host : {"localhost", "127.0.0.1:23333", "[::1]:80", "a-b.example", "h:"})
    EXPECT_EQ(parse(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n", 9).progress, Progress::done)
        << host;
}

TEST(HttpParser, bounds_header_and_body) {
  const HttpLimits limits{.max_header_bytes = 1000, .max_body_bytes = 10};
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 10'000; ++i) many += "X: y\r\n";
  expect_status(many + "\r\n", 431, limits);
  expect_status("GET /" + std::string(2000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 431, limits);
  expect_status("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'a') + "\r\n\r\n", 431, limits);
  expect_status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n12345678901", 413, limits);
  expect_status(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n", 413,
      limits);
}

TEST(ParseTarget, decodes_once_and_resolves_nothing) {
  const auto path_of = [](std::string_view target) {
    HttpRequest request;
    request.method = "GET";
    return parse_target(target, request) ? request.path : "refused";
  };
  EXPECT_EQ(path_of("/v1/models"), "/v1/models");
  EXPECT_EQ(path_of("//v1/models"), "//v1/models");
  EXPECT_EQ(path_of("/v1/%2e%2e/health"), "/v1/../health");
  EXPECT_EQ(path_of("/v1/models/a%2Fb%20c"), "/v1/models/a/b c");
  EXPECT_EQ(path_of("/%252e"), "/%2e");
  EXPECT_EQ(path_of("http://evil.example:1/v1/models?x"), "/v1/models");
  EXPECT_EQ(path_of("HTTPS://h"), "/");
  EXPECT_EQ(path_of("http://h?q"), "/");
  for (const char* bad : {"", "v1", "/%", "/%4", "/%zz", "/%00", "/%0a", "/a#b", "*", "http://", "http:///x",
                          "http://a b/", "ftp://h/"})
    EXPECT_EQ(path_of(bad), "refused") << bad;
  HttpRequest request;
  request.method = "OPTIONS";
  EXPECT_TRUE(parse_target("*", request));
}

}  // namespace
}  // namespace lmdeploy
