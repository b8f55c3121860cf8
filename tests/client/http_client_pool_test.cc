#include "client/http_client_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "base/error.h"
#include "client/stand_in_server.h"

namespace lmdeploy::client {
namespace {

constexpr std::chrono::milliseconds kTick{100};

void run_all(HttpClientPool& pool) {
  while (pool.num_running() > 0) pool.poll(kTick);
}

TEST(HttpClientPool, ManyRequestsRunAtOnce) {
  constexpr int kNumRequests = 40;
  std::atomic<int> num_waiting{0};
  StandInServer server([&](const SeenRequest& request) {
    ++num_waiting;
    while (num_waiting < kNumRequests) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return StandInReply{200, {}, request.body, -1, -1};
  });
  HttpClientPool pool;
  std::multiset<std::string> sent, received;
  for (int i = 0; i < kNumRequests; ++i) {
    const std::string body = std::to_string(i);
    sent.insert(body);
    pool.start({"POST", server.url() + "/", {}, body}, {}, [&](const HttpResponse& response) {
      EXPECT_EQ(response.status, 200);
      EXPECT_EQ(response.failure, "");
      received.insert(response.body);
    });
  }
  EXPECT_EQ(pool.num_running(), static_cast<std::size_t>(kNumRequests));
  run_all(pool);
  EXPECT_EQ(received, sent);
}

TEST(HttpClientPool, ASinkGetsTheBodyAndItsHead) {
  StandInServer server(
      [](const SeenRequest&) { return StandInReply{201, {}, std::string(1 << 20, 'x'), -1, -1}; });
  HttpClientPool pool;
  std::size_t num_bytes = 0;
  int status = 0;
  pool.start(
      {"GET", server.url() + "/", {}, ""},
      [&](const HttpResponse& head, std::string_view data) {
        status = head.status;
        num_bytes += data.size();
        return true;
      },
      [](const HttpResponse& response) { EXPECT_EQ(response.body, ""); });
  run_all(pool);
  EXPECT_EQ(status, 201);
  EXPECT_EQ(num_bytes, std::size_t{1} << 20);
}

TEST(HttpClientPool, AnEndMayStartTheNext) {
  StandInServer server([](const SeenRequest&) { return StandInReply{}; });
  HttpClientPool pool;
  int num_left = 5;
  std::function<void()> start = [&] {
    pool.start({"GET", server.url() + "/", {}, ""}, {}, [&](const HttpResponse& response) {
      EXPECT_EQ(response.status, 200);
      if (--num_left > 0) start();
    });
  };
  start();
  run_all(pool);
  EXPECT_EQ(num_left, 0);
}

TEST(HttpClientPool, WhatTheNetworkDoesIsInTheResponse) {
  StandInServer server([](const SeenRequest&) { return StandInReply{200, {}, "0123456789", 4, -1}; });
  HttpClientPool pool;
  HttpResponse cut, refused;
  pool.start({"GET", server.url() + "/", {}, ""}, {},
             [&](HttpResponse response) { cut = std::move(response); });
  pool.start({"GET", "http://127.0.0.1:1/", {}, ""}, {},
             [&](HttpResponse response) { refused = std::move(response); });
  run_all(pool);
  EXPECT_EQ(cut.body, "0123");
  EXPECT_NE(cut.failure, "");
  EXPECT_EQ(refused.status, 0);
  EXPECT_NE(refused.failure, "");
}

TEST(HttpClientPool, ASinkMayStopAndMayThrow) {
  StandInServer server([](const SeenRequest&) { return StandInReply{200, {}, "abc", -1, -1}; });
  HttpClientPool pool;
  HttpResponse stopped;
  pool.start(
      {"GET", server.url() + "/", {}, ""}, [](const HttpResponse&, std::string_view) { return false; },
      [&](HttpResponse response) { stopped = std::move(response); });
  run_all(pool);
  EXPECT_TRUE(stopped.stopped);
  pool.start(
      {"GET", server.url() + "/", {}, ""},
      [](const HttpResponse&, std::string_view) -> bool { throw std::runtime_error("mine"); },
      [](const HttpResponse&) {});
  EXPECT_THROW(run_all(pool), std::runtime_error);
}

TEST(HttpClientPool, WhatRunsIsCutOffWithThePool) {
  std::atomic<bool> done{false};
  StandInServer server([&](const SeenRequest&) {
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return StandInReply{};
  });
  bool called = false;
  {
    HttpClientPool pool;
    pool.start({"GET", server.url() + "/", {}, ""}, {}, [&](const HttpResponse&) { called = true; });
    while (server.seen().empty()) pool.poll(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(called);
  done = true;
}

TEST(HttpClientPool, RefusesOtherSchemes) {
  HttpClientPool pool;
  EXPECT_THROW(pool.start({"GET", "file:///etc/passwd", {}, ""}, {}, [](const HttpResponse&) {}), Error);
  EXPECT_EQ(pool.num_running(), 0U);
}

}  // namespace
}  // namespace lmdeploy::client
