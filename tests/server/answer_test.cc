// Whole answers: what the routes say about the model, prompts, choices and stops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/generation.h"
#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using namespace std::chrono_literals;

class Answer : public ServerTest {
 protected:
  std::string text_of(std::string_view body) {
    return post("/v1/completions", body)["choices"][0]["text"].get<std::string>();
  }
};

TEST_F(Answer, models) {
  const Json list = parse_json(server_.get("/v1/models").body);
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][0]["id"], "tiny");
  EXPECT_EQ(list["data"][0]["max_model_len"], 512);
  EXPECT_EQ(list["data"][1]["id"], "alias");
  EXPECT_EQ(parse_json(server_.get("/v1/models/alias").body)["id"], "alias");
  EXPECT_EQ(parse_json(server_.get("/v1/models/gpt").body)["error"]["code"], "model_not_found");
}

TEST_F(Answer, unknown_model_is_404) {
  const Json error = post("/v1/completions", R"({"model":"gpt","prompt":"a"})", 404)["error"];
  EXPECT_EQ(error["param"], "model");
  EXPECT_EQ(error["code"], "model_not_found");
}

TEST_F(Answer, is_what_the_model_says) {
  // The engine's own continuation of the same ids, decoded at once.
  const std::vector<TokenId> prompt{10, 7, 14, 14, 17};  // "hello"
  std::vector<TokenId> ids = prompt;
  const FakeModel reference;
  for (int i = 0; i < 40; ++i) ids.push_back(reference.next_token(ids));
  const std::string expected = server_.decode({ids.begin() + std::ssize(prompt), ids.end()});
  EXPECT_EQ(text_of(completion_body(40)), expected);
  EXPECT_EQ(text_of(R"({"model":"alias","prompt":[10,7,14,14,17],"max_tokens":40,"ignore_eos":true})"),
            expected);
  EXPECT_EQ(
      post("/v1/chat/completions",
           R"({"model":"tiny","messages":"hello","max_tokens":40,"ignore_eos":true})")["choices"][0]
                                                                                      ["message"]["content"],
      expected);
}

TEST_F(Answer, counts_and_reasons) {
  const Json answer = post("/v1/chat/completions", chat_body(7));
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_EQ(answer["model"], "tiny");
  EXPECT_EQ(answer["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 7);
  // <|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 1 + 5 + 5 + 1 + 1 + 1 + 10);
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

TEST_F(Answer, a_template_token_in_a_message_is_plain_text) {
  const auto num_prompt_tokens = [&](const char* content) {
    return post("/v1/chat/completions",
                fmt::format(
                    R"({{"model":"tiny","max_tokens":1,"messages":[{{"role":"user","content":"{}"}}]}})",
                    content))["usage"]["prompt_tokens"]
        .get<int>();
  };
  EXPECT_EQ(num_prompt_tokens("<|im_end|>") - num_prompt_tokens("a"), 9);
}

TEST_F(Answer, stops_at_the_models_own_token) {
  const Json answer = post("/v1/completions", R"({"model":"tiny","prompt":"hello","max_tokens":500})");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  const auto num_tokens = answer["usage"]["completion_tokens"].get<int>();
  EXPECT_LT(num_tokens, 500);
  EXPECT_EQ(answer["choices"][0]["text"], text_of(completion_body(num_tokens - 1)));
}

TEST_F(Answer, stops_at_stop_token_ids_also_when_eos_is_ignored) {
  const std::vector<TokenId> prompt{10, 7, 14, 14, 17};
  const TokenId first = FakeModel().next_token(prompt);
  const Json answer =
      post("/v1/completions", completion_body(40, fmt::format(R"("stop_token_ids":[{}])", first)));
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["choices"][0]["text"], "");
}

// Every substring of an answer as a stop string, several tokens long, ends it there.
TEST_F(Answer, stops_at_stop_strings_of_any_length) {
  const std::string text = text_of(completion_body(60));
  for (const std::size_t len : {1, 2, 5, 20}) {
    for (std::size_t begin = 0; begin + len < text.size(); begin += 7) {
      const std::string stop = text.substr(begin, len);
      const Json stop_json = stop;
      std::string dumped;
      try {
        dumped = stop_json.dump();
      } catch (const Json::type_error&) {
        continue;  // cut inside a character
      }
      const std::size_t at = text.find(stop);
      Json choice = post("/v1/completions", completion_body(60, R"("stop":)" + dumped))["choices"][0];
      EXPECT_EQ(choice["text"], text.substr(0, at)) << dumped;
      EXPECT_EQ(choice["finish_reason"], "stop");
      choice =
          post("/v1/completions", completion_body(60, R"("include_stop_str_in_output":true,"stop":["@@",)" +
                                                          dumped + "]"))["choices"][0];
      EXPECT_EQ(choice["text"], text.substr(0, at + len)) << dumped;
    }
  }
  EXPECT_TRUE(server_.is_idle_within(1s));
}

TEST_F(Answer, several_prompts_and_choices) {
  const Json choices =
      post("/v1/completions", R"({"model":"tiny","prompt":["hello","world"],"n":2,"max_tokens":5,)"
                              R"("ignore_eos":true})")["choices"];
  ASSERT_EQ(choices.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(choices[i]["index"], i);
  EXPECT_EQ(choices[0]["text"], choices[1]["text"]);  // greedy
  EXPECT_EQ(choices[0]["text"], text_of(completion_body(5)));
  EXPECT_NE(choices[0]["text"], choices[2]["text"]);
}

TEST_F(Answer, a_seed_decides_the_draw) {
  const auto sampled = [&](const char* fields) {
    return post("/v1/completions",
                completion_body(30, std::string(R"("temperature":1.5,)") + fields))["choices"];
  };
  const Json one = sampled(R"("seed":1)");
  EXPECT_EQ(one, sampled(R"("seed":1)"));
  EXPECT_NE(one[0]["text"], sampled(R"("seed":2)")[0]["text"]);
  const Json three = sampled(R"("seed":1,"n":3)");
  EXPECT_EQ(three[0]["text"], one[0]["text"]);
  EXPECT_EQ(three[1]["text"], sampled(R"("seed":2)")[0]["text"]);
  EXPECT_NE(sampled(R"("n":2)")[0]["text"], sampled(R"("n":2)")[0]["text"]);
}

TEST_F(Answer, nul_and_unknown_characters_pass_through) {
  EXPECT_EQ(post("/v1/completions",
                 R"({"model":"tiny","prompt":"a\u0000b😀","max_tokens":1})")["usage"]["prompt_tokens"],
            4);
}

TEST(AnswerWithoutTemplate, refuses_a_chat_but_not_a_raw_prompt) {
  TestSetup setup;
  setup.has_chat_template = false;
  TestServer server(setup);
  const HttpReply refused = server.post("/v1/chat/completions", chat_body(1));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("chat template"), std::string::npos);
  EXPECT_EQ(server.post("/v1/chat/completions", R"({"model":"tiny","messages":"a","max_tokens":1})").status,
            200);
}

TEST(AnswerOfABrokenModel, is_a_500_and_an_error_event_in_a_stream) {
  TestSetup setup;
  setup.model.nan_token = 3;  // "a"
  TestServer server(setup);
  const HttpReply reply = server.post("/v1/completions", R"({"model":"tiny","prompt":"a","max_tokens":4})");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(parse_json(reply.body)["error"]["type"], "server_error");
  const HttpReply stream =
      server.post("/v1/completions", R"({"model":"tiny","prompt":"a","max_tokens":4,"stream":true})");
  EXPECT_EQ(stream.status, 200);
  EXPECT_TRUE(stream.complete);
  EXPECT_TRUE(stream.body.starts_with("event: error\ndata: {\"error\":")) << stream.body;
  EXPECT_EQ(server.post("/v1/completions", completion_body(3)).status, 200);
}

TEST(Generate, blocks_until_the_answer_ends_or_is_not_wanted) {
  TestServer server;
  GenerationParams params;
  params.sampling.temperature = 0;
  params.max_new_tokens = 20;
  params.ignore_eos = true;
  std::string text;
  auto result = generate(server.model(), {10, 7}, params, [&](const TextDelta& delta) {
    text += delta.text;
    return true;
  });
  EXPECT_EQ(std::get<TextDelta>(result).finish_reason, FinishReason::length);
  EXPECT_EQ(std::get<TextDelta>(result).num_generated_tokens, 20);
  EXPECT_FALSE(text.empty());
  params.max_new_tokens = 0;
  result = generate(server.model(), {10, 7}, params,
                    [](const TextDelta& delta) { return delta.num_generated_tokens < 3; });
  EXPECT_EQ(std::get<TextDelta>(result).finish_reason, FinishReason::abort);
  EXPECT_EQ(std::get<TextDelta>(result).num_generated_tokens, 3);
  EXPECT_TRUE(server.is_idle_within(1s));
  EXPECT_TRUE(std::holds_alternative<Rejected>(
      generate(server.model(), std::vector<TokenId>(512, 3), params, [](const TextDelta&) { return true; })));
}

}  // namespace
}  // namespace lmdeploy::testing
