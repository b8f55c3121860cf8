// Why an answer took as long as it did.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/answer_report.h"
#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

AnswerReport report() {
  AnswerReport report;
  report.received_ms = 1;
  report.engine = {.queued_ms = 2,
                   .prefill_ms = 3,
                   .decode_ms = 4,
                   .sampled_ms = 2.5,
                   .preempted_ms = 5,
                   .num_cached_tokens = 6,
                   .num_computed_tokens = 7,
                   .num_preemptions = 8};
  return report;
}

TEST(Timings, what_is_left_was_spent_on_sending) {
  EXPECT_DOUBLE_EQ(sent_ms(report(), 20), 5);
  EXPECT_DOUBLE_EQ(sent_ms(report(), 10), 0);
}

TEST(Timings, text_and_json_say_the_same) {
  EXPECT_EQ(timings_text(report(), 20),
            "received=1.0 queued=2.0 prefill=3.0 decode=4.0 sampled=2.5 preempted=5.0 sent=5.0 total=20.0 "
            "cached=6 computed=7 "
            "preemptions=8");
  const Json json = parse_json(timings_json(report(), 20));
  EXPECT_EQ(json["prefill_ms"], 3.0);
  EXPECT_EQ(json["cached_tokens"], 6);
  EXPECT_EQ(json["preemptions"], 8);
  EXPECT_EQ(json.size(), 11U);
}

class TimingsOfAnAnswer : public ::testing::Test {
 protected:
  static TestSetup setup() {
    TestSetup setup;
    setup.model.step_time = 2ms;
    return setup;
  }
  static void expect_plausible(const Json& timings) {
    const auto ms = [&](const char* name) { return timings[name].get<double>(); };
    EXPECT_GT(ms("prefill_ms"), 0);
    EXPECT_GT(ms("decode_ms"), 9 * 2 * 0.9);  // ten tokens, one of them by the prefill
    EXPECT_GT(ms("sampled_ms"), 0);
    EXPECT_LE(ms("sampled_ms"), ms("prefill_ms") + ms("decode_ms"));
    EXPECT_GE(ms("total_ms"), ms("queued_ms") + ms("prefill_ms") + ms("decode_ms") - 1);
    EXPECT_GT(timings["computed_tokens"], 9);
  }
  TestServer server_{setup()};
};

TEST_F(TimingsOfAnAnswer, come_on_request_only) {
  const HttpReply plain = server_.post("/v1/completions", completion_body(10));
  EXPECT_FALSE(parse_json(plain.body).contains("timings"));
  EXPECT_FALSE(plain.headers.contains("x-lmdeploy-timings"));
  const HttpReply by_field =
      server_.post("/v1/completions", completion_body(10, R"("include_timings":true)"));
  expect_plausible(parse_json(by_field.body)["timings"]);
  const HttpReply by_header =
      server_.post("/v1/completions", completion_body(10), "x-lmdeploy-timings: 1\r\n");
  expect_plausible(parse_json(by_header.body)["timings"]);
  EXPECT_TRUE(by_header.headers.at("x-lmdeploy-timings").starts_with("received="));
  EXPECT_FALSE(server_.post("/v1/completions", completion_body(1), "x-lmdeploy-timings: 0\r\n")
                   .headers.contains("x-lmdeploy-timings"));
}

TEST_F(TimingsOfAnAnswer, are_in_a_streams_last_chunk) {
  const auto last_chunk = [&](const HttpReply& reply) {
    const auto events = reply.events();
    return parse_json(events.at(events.size() - 2));
  };
  const std::string fields = R"("stream":true,"include_timings":true)";
  const Json alone = last_chunk(server_.post("/v1/chat/completions", chat_body(10, fields)));
  expect_plausible(alone["timings"]);
  EXPECT_TRUE(alone["choices"].empty());
  EXPECT_FALSE(alone.contains("usage"));
  const Json with_usage = last_chunk(server_.post(
      "/v1/chat/completions", chat_body(10, fields + R"(,"stream_options":{"include_usage":true})")));
  expect_plausible(with_usage["timings"]);
  EXPECT_EQ(with_usage["usage"]["completion_tokens"], 10);
}

TEST_F(TimingsOfAnAnswer, of_lmdeploys_own_routes) {
  const std::string generate =
      R"({"prompt":"hello","max_tokens":10,"ignore_eos":true,"include_timings":true})";
  expect_plausible(parse_json(server_.post("/generate", generate).body)["timings"]);
  const std::string interactive =
      R"({"prompt":"hello","max_tokens":10,"ignore_eos":true,"include_timings":true})";
  expect_plausible(parse_json(server_.post("/v1/chat/interactive", interactive).body)["timings"]);
}

TEST(RequestTimeout, ends_an_answer_with_504_or_an_error_event) {
  TestSetup setup;
  setup.model.step_time = 2ms;
  setup.server.request_timeout = 50ms;
  TestServer server(setup);
  const HttpReply whole = server.post("/v1/completions", completion_body(400));
  EXPECT_EQ(whole.status, 504);
  EXPECT_EQ(parse_json(whole.body)["error"]["code"], "timeout");
  const HttpReply stream = server.post("/v1/completions", completion_body(400, R"("stream":true)"));
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(parse_json(stream.events().back())["error"]["code"], "timeout");
  EXPECT_TRUE(server.is_idle_within(1s));
  EXPECT_EQ(server.post("/v1/completions", completion_body(1)).status, 200);
}

}  // namespace
}  // namespace lmdeploy::testing
