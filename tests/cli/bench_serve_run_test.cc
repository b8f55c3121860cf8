#include "cli/bench_serve_run.h"

#include <gtest/gtest.h>

#include <atomic>

#include "client/stand_in_server.h"

namespace lmdeploy::cli {
namespace {

using client::SeenRequest;
using client::StandInReply;
using client::StandInServer;

const std::string kAnswer =
    "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: "
    "{\"choices\":[{\"text\":\"b\",\"finish_reason\":\"length\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

bool go_on(std::size_t) {
  return true;
}

std::vector<BenchPrompt> prompts(std::size_t count) {
  std::vector<BenchPrompt> prompts;
  for (std::size_t i = 0; i < count; ++i) prompts.push_back({std::to_string(i), -1, 2});
  return prompts;
}

ServeTarget target_of(const StandInServer& server) {
  ServeTarget target;
  target.url = server.url() + "/v1/completions";
  target.model = "m";
  target.headers = {"X-Own: yes"};
  return target;
}

TEST(ServeLoad, ReadsStreamsAndCounts) {
  StandInServer server([](const SeenRequest&) { return StandInReply{200, {}, kAnswer, -1, -1}; });
  const ServeRun run = run_serve_load(target_of(server), prompts(3), {.arrivals = {0, 0, 0}}, go_on);
  ASSERT_EQ(run.records.size(), 3U);
  for (const ServeRecord& record : run.records) {
    EXPECT_TRUE(record.succeeded) << record.error;
    EXPECT_EQ(record.text, "ab");
    EXPECT_EQ(record.output_len, 2);
    EXPECT_EQ(record.prompt_len, 9);  // the server's count, since nobody else made one
    EXPECT_EQ(record.itls.size(), 1U);
    EXPECT_GT(record.ttft, 0);
    EXPECT_GE(record.latency, record.ttft);
    EXPECT_GE(run.duration, record.start + record.latency);
  }
}

TEST(ServeLoad, SendsWhatTheBackendExpects) {
  StandInServer server([](const SeenRequest&) { return StandInReply{200, {}, kAnswer, -1, -1}; });
  ServeTarget target = target_of(server);
  target.ignore_eos = true;
  target.extra_body = {{"top_k", 4}};
  run_serve_load(target, prompts(1), {.arrivals = {0}}, go_on);
  auto body = nlohmann::json::parse(server.seen().at(0).body);
  EXPECT_EQ(server.seen().at(0).headers.at("x-own"), "yes");
  EXPECT_EQ(body["prompt"], "0");
  EXPECT_EQ(body["model"], "m");
  EXPECT_EQ(body["max_tokens"], 2);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  EXPECT_EQ(body["temperature"], 0);
  EXPECT_EQ(body["top_k"], 4);
  server.forget();
  target.is_chat = true;
  run_serve_load(target, prompts(1), {.arrivals = {0}}, go_on);
  body = nlohmann::json::parse(server.seen().at(0).body);
  EXPECT_EQ(body["messages"][0]["content"], "0");
  EXPECT_FALSE(body.contains("prompt"));
}

TEST(ServeLoad, KeepsTheLimitOfConcurrency) {
  std::atomic<int> running{0}, most{0};
  StandInServer server([&](const SeenRequest&) {
    const int now = ++running;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    --running;
    return StandInReply{200, {}, kAnswer, -1, -1};
  });
  const ServeRun run =
      run_serve_load(target_of(server), prompts(12),
                     {.arrivals = std::vector<double>(12, 0.0), .max_concurrency = 3}, go_on);
  EXPECT_LE(most, 3);
  for (const ServeRecord& record : run.records) EXPECT_TRUE(record.succeeded) << record.error;
}

TEST(ServeLoad, NothingIsSentBeforeItIsDue) {
  StandInServer server([](const SeenRequest&) { return StandInReply{200, {}, kAnswer, -1, -1}; });
  const std::vector<double> arrivals{0.02, 0.05, 0.15};
  const ServeRun run = run_serve_load(target_of(server), prompts(3), {.arrivals = arrivals}, go_on);
  for (std::size_t i = 0; i < arrivals.size(); ++i) EXPECT_GE(run.records[i].start, arrivals[i]);
}

TEST(ServeLoad, SaysWhyARequestFailed) {
  StandInServer server([](const SeenRequest& request) {
    const auto text = nlohmann::json::parse(request.body)["prompt"].get<std::string>();
    if (text == "0") return StandInReply{429, {}, R"({"error":{"message":"the queue is full"}})", -1, -1};
    if (text == "1") return StandInReply{200, {}, kAnswer, 40, -1};
    if (text == "2") return StandInReply{200, {}, "data: {\"error\":{\"message\":\"broken\"}}\n\n", -1, -1};
    return StandInReply{200, {}, "data: {\"choices\":[{\"text\":\"a\"}]}\n\n", -1, -1};
  });
  const ServeRun run =
      run_serve_load(target_of(server), prompts(4), {.arrivals = std::vector<double>(4, 0.0)}, go_on);
  EXPECT_EQ(run.records[0].error, "status 429: the queue is full");
  EXPECT_NE(run.records[1].error.find("the connection broke"), std::string::npos) << run.records[1].error;
  EXPECT_EQ(run.records[2].error, "the stream ended with: broken");
  EXPECT_EQ(run.records[3].error, "the stream ended without an end");
  for (const ServeRecord& record : run.records) EXPECT_FALSE(record.succeeded);
}

TEST(ServeLoad, StopsWhenItIsTold) {
  std::atomic<bool> done{false};
  StandInServer server([&](const SeenRequest&) {
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return StandInReply{};
  });
  const ServeRun run = run_serve_load(target_of(server), prompts(2), {.arrivals = {0, 1000}},
                                      [&](std::size_t) { return server.seen().empty(); });
  EXPECT_EQ(run.records[0].error, "interrupted");
  EXPECT_EQ(run.records[1].error, "interrupted");
  done = true;
}

}  // namespace
}  // namespace lmdeploy::cli
