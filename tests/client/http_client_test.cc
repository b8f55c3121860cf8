#include "client/http_client.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "client/stand_in_server.h"

namespace lmdeploy::client {
namespace {

TEST(HttpClient, SendsAndReceives) {
  StandInServer server([](const SeenRequest& request) {
    return StandInReply{201, {"X-Twice: a", "x-twice: b"}, request.body + "!", -1, -1};
  });
  HttpClient client;
  const HttpResponse response = client.send({"POST", server.url() + "/path?q=1", {"X-Own: yes"}, "body"});
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, "body!");
  EXPECT_EQ(response.header("X-TWICE"), "b");
  EXPECT_EQ(response.failure, "");
  EXPECT_EQ(server.seen().at(0).target, "/path?q=1");
  EXPECT_EQ(server.seen().at(0).headers.at("x-own"), "yes");
}

TEST(HttpClient, LeavesRedirectsToTheCaller) {
  StandInServer server(
      [](const SeenRequest&) { return StandInReply{302, {"Location: /elsewhere"}, "", -1, -1}; });
  HttpClient client;
  const HttpResponse response = client.send({"GET", server.url() + "/", {}, ""});
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(resolve_url(server.url() + "/", response.header("Location")), server.url() + "/elsewhere");
}

TEST(HttpClient, TellsACutFromAnEnd) {
  StandInServer server([](const SeenRequest&) { return StandInReply{200, {}, "0123456789", 4, -1}; });
  HttpClient client;
  const HttpResponse response = client.send({"GET", server.url() + "/", {}, ""});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "0123");
  EXPECT_NE(response.failure, "");
}

TEST(HttpClient, TheSinkMayStop) {
  StandInServer server(
      [](const SeenRequest&) { return StandInReply{200, {}, std::string(1 << 20, 'x'), -1, -1}; });
  HttpClient client;
  const HttpResponse response = client.send({"GET", server.url() + "/", {}, ""},
                                            [](const HttpResponse&, std::string_view) { return false; });
  EXPECT_TRUE(response.stopped);
}

TEST(HttpClient, TheCallerMayStopWhileNothingComes) {
  std::atomic<bool> done{false};
  StandInServer server([&](const SeenRequest&) {
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return StandInReply{};
  });
  HttpClient client;
  const HttpResponse response = client.send({"GET", server.url() + "/", {}, ""}, {}, [] { return true; });
  EXPECT_TRUE(response.stopped);
  done = true;
}

TEST(HttpClient, NobodyThereIsAnOutcome) {
  HttpClient client;
  const HttpResponse response = client.send({"GET", "http://127.0.0.1:1/", {}, ""});
  EXPECT_EQ(response.status, 0);
  EXPECT_NE(response.failure, "");
}

TEST(HttpClient, RefusesOtherSchemes) {
  HttpClient client;
  EXPECT_THROW(client.send({"GET", "file:///etc/passwd", {}, ""}), Error);
  EXPECT_THROW(client.send({"GET", "http://", {}, ""}), Error);
}

TEST(Url, OriginsAreSchemeHostAndPort) {
  EXPECT_EQ(origin_of("https://hub.example/a/b?c"), "https://hub.example:443");
  EXPECT_EQ(origin_of("http://hub.example:8080"), "http://hub.example:8080");
  EXPECT_NE(origin_of("https://hub.example"), origin_of("https://cdn.hub.example"));
  EXPECT_NE(origin_of("https://hub.example"), origin_of("http://hub.example"));
}

TEST(Url, PathsAreEscaped) {
  EXPECT_EQ(escape_path("a b/ü?.json"), "a%20b/%C3%BC%3F.json");
  EXPECT_EQ(escape_name("refs/convert/~x"), "refs%2Fconvert%2F~x");
}

}  // namespace
}  // namespace lmdeploy::client
