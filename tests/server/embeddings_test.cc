// OpenAI's /v1/embeddings: what it takes, says and refuses. What vectors mean is the engine's affair.
#include "server/embeddings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "server/base64.h"
#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

std::string body(std::string_view input, std::string_view more_fields = "") {
  return fmt::format(R"({{"model":"tiny","input":{}{}{}}})", input, more_fields.empty() ? "" : ",",
                     more_fields);
}

double length_of(const std::vector<float>& vector) {
  return std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0));
}

class Embeddings : public ServerTest {
 protected:
  std::vector<float> one(std::string_view input, std::string_view more_fields = "") {
    return post("/v1/embeddings", body(input, more_fields))["data"][0]["embedding"];
  }
};

TEST_F(Embeddings, are_vectors_of_length_one) {
  const Json answer = post("/v1/embeddings", body(R"("hello")"));
  EXPECT_EQ(answer["object"], "list");
  EXPECT_EQ(answer["model"], "tiny");
  EXPECT_EQ(answer["data"].size(), 1U);
  EXPECT_EQ(answer["data"][0]["object"], "embedding");
  EXPECT_EQ(answer["usage"].dump(), R"({"prompt_tokens":5,"total_tokens":5})");
  const std::vector<float> vector = answer["data"][0]["embedding"];
  ASSERT_EQ(vector.size(), 8U);
  EXPECT_NEAR(length_of(vector), 1, 1e-6);
  // It is the model's state behind the last token.
  std::vector<float> hidden(8);
  FakeModel({.block_len = 16}).hidden_after(std::vector<std::int32_t>{10, 7, 14, 14, 17}, hidden);
  EXPECT_EQ(vector, unit_embedding(hidden, {}));
}

TEST_F(Embeddings, of_many_are_what_each_is_alone) {
  std::string list;
  for (int i = 0; i < 200; ++i)
    list += fmt::format("{}\"{}\"", i == 0 ? "" : ",", std::string(1 + i % 90, 'a' + i % 26));
  const Json answer = post("/v1/embeddings", body("[" + list + "]"));
  ASSERT_EQ(answer["data"].size(), 200U);
  const Json texts = parse_json("[" + list + "]");
  for (std::size_t i = 0; i < 200; i += 23) {
    EXPECT_EQ(answer["data"][i]["index"], i);
    EXPECT_EQ(answer["data"][i]["embedding"].get<std::vector<float>>(), one(texts[i].dump()));
  }
  EXPECT_TRUE(server_.is_idle_within(1s));
}

TEST_F(Embeddings, text_and_ids_and_lists_agree) {
  const auto text = one(R"("hello")");
  for (const char* input : {R"(["hello"])", "[10,7,14,14,17]", "[[10,7,14,14,17]]"})
    EXPECT_EQ(one(input), text) << input;
  EXPECT_NE(one(R"("hello")", R"("pooling":"mean")"), text);
  EXPECT_EQ(one(R"("h")", R"("pooling":"mean")"), one(R"("h")", R"("pooling":"last")"));
}

TEST_F(Embeddings, base64_is_the_same_numbers) {
  const auto numbers = one(R"("hello")");
  const Json answer = post("/v1/embeddings", body(R"("hello")", R"("encoding_format":"base64")"));
  EXPECT_EQ(answer["data"][0]["embedding"], base64(std::as_bytes(std::span(numbers))));
}

TEST_F(Embeddings, fewer_dimensions_are_the_first_at_length_one) {
  const auto all = one(R"("hello")"), few = one(R"("hello")", R"("dimensions":3)");
  ASSERT_EQ(few.size(), 3U);
  EXPECT_NEAR(length_of(few), 1, 1e-6);
  EXPECT_NEAR(few[0] / few[1], all[0] / all[1], 1e-4);
}

TEST_F(Embeddings, refuses_by_name) {
  for (const auto& [request, param] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "model"},
           {R"({"model":"tiny"})", "input"},
           {body("[]"), "input"},
           {body("7"), "input"},
           {body(R"("")"), "input"},
           {body(R"(["x",7])"), "input[1]"},
           {body("[64]"), "input"},
           {body(R"("x")", R"("dimensions":9)"), "dimensions"},
           {body(R"("x")", R"("dimensions":0)"), "dimensions"},
           {body(R"("x")", R"("encoding_format":"int8")"), "encoding_format"},
           {body(R"("x")", R"("pooling":"max")"), "pooling"},
           {body(R"("x")", R"("normalize":false)"), "normalize"},
           {body(fmt::format("\"{}\"", std::string(512, 'a'))), "input"}}) {
    EXPECT_EQ(post("/v1/embeddings", request, 400)["error"]["param"], param) << request;
  }
  post("/v1/embeddings", R"({"model":"nobody","input":"x"})", 404);
  EXPECT_TRUE(server_.is_idle_within(1s));
}

TEST_F(Embeddings, one_bad_input_ends_them_all) {
  std::string list = R"("x")";
  for (int i = 0; i < 100; ++i) list += R"(,"x")";
  const Json error = post("/v1/embeddings", body("[" + list + R"(,""])"), 400);
  EXPECT_EQ(error["error"]["param"], "input");
  EXPECT_TRUE(server_.is_idle_within(1s));
}

TEST(EmbeddingsLife, the_servers_pooling_holds_where_a_request_does_not_say) {
  TestSetup setup;
  setup.server.embedding_pooling = Pooling::mean;
  const TestServer server(std::move(setup));
  const auto ask = [&](std::string_view fields) {
    return parse_json(server.post("/v1/embeddings", body(R"("hello")", fields)).body)["data"][0]["embedding"];
  };
  EXPECT_EQ(ask(""), ask(R"("pooling":"mean")"));
  EXPECT_NE(ask(""), ask(R"("pooling":"last")"));
}

TEST(EmbeddingsLife, nothing_runs_for_a_client_that_has_left) {
  const TestServer server(slow_setup(10ms));
  RawClient client = server.connect();
  std::string list = fmt::format("\"{}\"", std::string(400, 'a'));
  for (int i = 0; i < 50; ++i) list += fmt::format(",\"{}\"", std::string(400, 'a'));
  client.send(post_request("/v1/embeddings", body("[" + list + "]")));
  ASSERT_TRUE(server.is_busy_within(2s));
  client.reset();
  EXPECT_TRUE(server.is_idle_within(500ms));
}

TEST(EmbeddingsLife, can_be_aborted_by_its_request_id) {
  const TestServer server(slow_setup(10ms));
  RawClient client = server.connect();
  std::string list = fmt::format("\"{}\"", std::string(400, 'a'));
  for (int i = 0; i < 200; ++i) list += fmt::format(",\"{}\"", std::string(400, 'a'));
  client.send(post_request("/v1/embeddings", body("[" + list + "]"), "x-request-id: mine\r\n"));
  ASSERT_TRUE(server.is_busy_within(2s));
  EXPECT_EQ(parse_json(server.post("/abort_request", R"({"request_id":"mine"})").body)["num_aborted"], 1);
  EXPECT_EQ(client.read_reply().status, 409);
  EXPECT_TRUE(server.is_idle_within(1s));
}

TEST(EmbeddingsLife, states_that_are_not_numbers_are_an_error) {
  TestSetup setup;
  setup.model.nan_token = 17;  // 'o'
  const TestServer server(std::move(setup));
  EXPECT_EQ(server.post("/v1/embeddings", body(R"(["hell","hello"])")).status, 500);
  EXPECT_EQ(server.post("/v1/embeddings", body(R"("hell")")).status, 200);
}

// RFC 4648, section 10.
TEST(Base64, of_the_rfcs_test_vectors) {
  for (const auto& [text, encoded] : std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                                                      {"f", "Zg=="},
                                                                                      {"fo", "Zm8="},
                                                                                      {"foo", "Zm9v"},
                                                                                      {"foob", "Zm9vYg=="},
                                                                                      {"fooba", "Zm9vYmE="},
                                                                                      {"foobar", "Zm9vYmFy"}})
    EXPECT_EQ(base64(std::as_bytes(std::span(text))), encoded);
  const std::string bytes("\xff\xfe\x00\x80", 4);
  EXPECT_EQ(base64(std::as_bytes(std::span(bytes))), "//4AgA==");
}

}  // namespace
}  // namespace lmdeploy::testing
