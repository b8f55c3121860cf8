// GET /metrics: what it counts is what the clients were sent.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <stdexcept>

#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kEngine = R"(engine="0",model_name="tiny")";

// Series by name and labels as they stand in the text.
using Series = std::map<std::string, double>;

Series parse_metrics(const std::string& text) {
  Series series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const std::size_t space = line.rfind(' ');
    const bool is_new = series.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second;
    EXPECT_TRUE(is_new) << line;
  }
  return series;
}

Series scrape(const TestServer& server) {
  const HttpReply reply = server.get("/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return parse_metrics(reply.body);
}

// "lmdeploy:NAME{engine=...,model_name=...,MORE}"
std::string of_engine(std::string_view name, std::string_view more = "") {
  return fmt::format("lmdeploy:{}{{{}{}{}}}", name, kEngine, more.empty() ? "" : ",", more);
}

std::string ended(std::string_view reason) {
  return fmt::format(R"(lmdeploy:request_success_total{{engine="0",finished_reason="{}",model_name="tiny"}})",
                     reason);
}

std::string http(std::string_view method, std::string_view route, int status) {
  return fmt::format(R"(lmdeploy:http_requests_total{{method="{}",route="{}",status="{}"}})", method, route,
                     status);
}

bool has(const Series& series, const Series& expected) {
  return std::all_of(expected.begin(), expected.end(), [&](const auto& entry) {
    const auto found = series.find(entry.first);
    return found != series.end() && found->second == entry.second;
  });
}

// A client may have its answer before it is counted: waits for these, then expects them.
Series scrape_until(const TestServer& server, const Series& expected) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  Series series = scrape(server);
  while (!has(series, expected) && std::chrono::steady_clock::now() < deadline) series = scrape(server);
  for (const auto& [name, value] : expected) EXPECT_EQ(series[name], value) << name;
  return series;
}

TEST(Metrics, everything_is_there_from_the_start) {
  const TestServer server;
  const Series series = scrape(server);
  for (const char* name :
       {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prefix_cache_queries_total",
        "prefix_cache_hits_total", "num_preemptions_total", "prompt_tokens_total", "generation_tokens_total",
        "time_to_first_token_seconds_count", "time_per_output_token_seconds_count",
        "inter_token_latency_seconds_count", "e2e_request_latency_seconds_count",
        "request_queue_time_seconds_count", "request_prefill_time_seconds_count",
        "request_decode_time_seconds_count", "request_inference_time_seconds_count",
        "request_prompt_tokens_count", "request_generation_tokens_count"})
    EXPECT_EQ(series.at(of_engine(name)), 0) << name;
  for (const char* reason : {"stop", "length", "abort", "error", "timeout"})
    EXPECT_EQ(series.at(ended(reason)), 0) << reason;
  EXPECT_EQ(series.at(of_engine("kv_blocks", R"(state="used")")), 0);
  EXPECT_EQ(series.at(of_engine("kv_blocks", R"(state="free")")),
            static_cast<double>(server.model().engine.stats().num_blocks));
  EXPECT_GE(series.at(of_engine("kv_cache_resident_bytes")), 0);
  EXPECT_GT(series.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(series.at("process_open_fds"), 3);
}

TEST(Metrics, count_what_was_asked_and_answered) {
  const TestServer server;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(server.post("/v1/completions", completion_body(10)).status, 200);
  EXPECT_EQ(server.post("/v1/completions", completion_body(4, R"("n":2)")).status, 200);
  const Series series = scrape_until(server, {{of_engine("request_queue_time_seconds_count"), 5},
                                              {http("POST", "/v1/completions", 200), 4}});
  EXPECT_EQ(series.at(ended("length")), 5);
  EXPECT_EQ(series.at(ended("abort")), 0);
  EXPECT_EQ(series.at(of_engine("prompt_tokens_total")), 5 * 5);  // "hello", a token for each character
  EXPECT_EQ(series.at(of_engine("generation_tokens_total")), 3 * 10 + 2 * 4);
  EXPECT_EQ(series.at(of_engine("request_prompt_tokens_sum")), 5 * 5);
  EXPECT_EQ(series.at(of_engine("request_generation_tokens_sum")), 3 * 10 + 2 * 4);
  EXPECT_EQ(series.at(of_engine("request_params_max_tokens_sum")), 3 * 10 + 2 * 4);
  EXPECT_EQ(series.at(of_engine("time_to_first_token_seconds_count")), 5);
  EXPECT_EQ(series.at(of_engine("inter_token_latency_seconds_count")), 3 * 9 + 2 * 3);
  EXPECT_EQ(series.at(of_engine("time_per_output_token_seconds_count")), 3 * 9 + 2 * 3);
  EXPECT_EQ(series.at(of_engine("e2e_request_latency_seconds_count")), 5);
  EXPECT_EQ(series.at(of_engine("request_decode_time_seconds_count")), 5);
}

TEST(Metrics, times_are_seconds_and_add_up) {
  TestSetup setup;
  setup.model.step_time = 5ms;
  const TestServer server(setup);
  EXPECT_EQ(server.post("/v1/completions", completion_body(11)).status, 200);
  const Series series = scrape_until(server, {{of_engine("request_queue_time_seconds_count"), 1}});
  const double latency = series.at(of_engine("e2e_request_latency_seconds_sum"));
  const double gaps = series.at(of_engine("inter_token_latency_seconds_sum"));
  EXPECT_GE(latency, 0.055);
  EXPECT_GE(gaps, 0.045);  // a gap may begin late, but ten of them cannot
  EXPECT_NEAR(latency, series.at(of_engine("time_to_first_token_seconds_sum")) + gaps, 0.002);
  EXPECT_GE(series.at(of_engine("request_prefill_time_seconds_sum")), 0.005);
  EXPECT_GE(series.at(of_engine("request_decode_time_seconds_sum")), 0.05);
  EXPECT_LE(series.at(of_engine("request_inference_time_seconds_sum")), latency);
}

TEST(Metrics, a_client_that_left_is_an_abort_and_its_blocks_are_free) {
  TestSetup setup;
  setup.model.step_time = 1ms;
  const TestServer server(setup);
  {
    RawClient client = server.connect();
    client.send(post_request("/v1/completions", completion_body(400, R"("stream":true)")));
    ASSERT_TRUE(server.is_busy_within(1s));
    const Series series = scrape(server);
    EXPECT_EQ(series.at(of_engine("num_requests_running")), 1);
    EXPECT_GT(series.at(of_engine("kv_blocks", R"(state="used")")), 0);
    EXPECT_GT(series.at(of_engine("kv_cache_usage_perc")), 0);
  }
  const Series series = scrape_until(server, {{of_engine("num_requests_running"), 0}, {ended("abort"), 1}});
  EXPECT_EQ(series.at(ended("length")), 0);
  EXPECT_EQ(series.at(of_engine("kv_blocks", R"(state="used")")), 0);
  EXPECT_EQ(series.at(of_engine("kv_cache_usage_perc")), 0);
}

TEST(Metrics, a_stop_string_is_a_stop_and_still_has_its_engine_times) {
  const TestServer server;
  const HttpReply reply =
      server.post("/v1/completions",
                  R"({"model":"tiny","prompt":"hello","max_tokens":300,"stop":["a","e","i","o","u"]})");
  EXPECT_EQ(reply.status, 200);
  const Series series = scrape_until(server, {{of_engine("request_queue_time_seconds_count"), 1}});
  EXPECT_EQ(series.at(ended("stop")), 1);
  EXPECT_EQ(series.at(ended("abort")), 0);
}

TEST(Metrics, a_failure_and_a_timeout_are_told_apart) {
  TestSetup setup;
  setup.model.step_time = 2ms;
  setup.server.request_timeout = 100ms;
  auto failing = std::make_shared<std::atomic<bool>>(false);
  setup.model.on_forward = [failing](const Batch&) {
    if (failing->exchange(false)) throw std::runtime_error("as the test wants it");
  };
  const TestServer server(setup);
  server.post("/v1/completions", completion_body(400));
  *failing = true;
  EXPECT_EQ(server.post("/v1/completions", completion_body(4)).status, 500);
  scrape_until(server,
               {{ended("timeout"), 1}, {ended("error"), 1}, {ended("length"), 0}, {ended("abort"), 0}});
}

TEST(Metrics, labels_are_bounded_whatever_clients_write) {
  const TestServer server;
  server.get("/nowhere/1");
  server.get("/nowhere/2");
  server.get("/v1/models/tiny");
  server.get("/v1/models/unknown");
  RawClient client = server.connect();
  client.send("BREW /health HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_reply().status, 405);
  RawClient no_http = server.connect();
  no_http.send("\x16\x03\x01 no request\r\n\r\n");
  EXPECT_EQ(no_http.read_reply().status, 400);
  scrape_until(server, {{http("GET", "none", 404), 2},
                        {http("GET", "/v1/models/*", 200), 1},
                        {http("GET", "/v1/models/*", 404), 1},
                        {http("other", "/health", 405), 1},
                        {http("other", "none", 400), 1}});
}

TEST(Metrics, need_a_key_where_others_do_and_can_be_turned_off) {
  TestSetup with_key;
  with_key.server.api_keys = {"secret"};
  const TestServer closed(with_key);
  EXPECT_EQ(closed.get("/metrics").status, 401);
  EXPECT_EQ(closed.get("/metrics", "Authorization: Bearer secret\r\n").status, 200);
  TestSetup without;
  without.server.disable_metrics = true;
  const TestServer none(without);
  EXPECT_EQ(none.get("/metrics").status, 404);
  EXPECT_EQ(none.post("/v1/completions", completion_body(4)).status, 200);
}

}  // namespace
}  // namespace lmdeploy::testing
