// Log probabilities and echoed prompts: what they say, and that a stream says the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

class AnswerLogprobs : public ServerTest {
 protected:
  Json completion(int max_tokens, const std::string& fields) {
    return post("/v1/completions", completion_body(max_tokens, fields))["choices"][0];
  }
  std::vector<Json> chunks(std::string_view path, std::string_view body) {
    std::vector<Json> result;
    for (const std::string& event : server_.post(path, body).events())
      if (event != "[DONE]") result.push_back(parse_json(event)["choices"][0]);
    return result;
  }

  TokenId id_of(const Json& token) const {
    return server_.model().tokenizer.token_to_id(token.get<std::string>()).value();
  }

  const std::vector<TokenId> prompt_{10, 7, 14, 14, 17};  // "hello"
};

TEST_F(AnswerLogprobs, of_a_completion_are_the_models) {
  const Json choice = completion(20, R"("logprobs":3,"temperature":1.2,"top_k":5,"presence_penalty":1)");
  const Json& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 20U);
  std::vector<TokenId> prefix = prompt_;
  std::string text;
  for (std::size_t i = 0; i < 20; ++i) {
    const std::vector<double> all = FakeModel().logprobs_after(prefix);
    const TokenId id = id_of(logprobs["tokens"][i]);
    EXPECT_NEAR(logprobs["token_logprobs"][i].get<double>(), all[static_cast<std::size_t>(id)], 1e-4);
    const Json& tops = logprobs["top_logprobs"][i];
    EXPECT_TRUE(tops.contains(logprobs["tokens"][i].get<std::string>()));
    EXPECT_TRUE(tops.size() == 3 || tops.size() == 4);
    for (const auto& [token, logprob] : tops.items())
      EXPECT_NEAR(logprob.get<double>(), all[static_cast<std::size_t>(id_of(token))], 1e-4);
    EXPECT_EQ(tops.begin().value(), *std::max_element(tops.begin(), tops.end()));
    prefix.push_back(id);
  }
}

TEST_F(AnswerLogprobs, of_a_chat_have_their_bytes) {
  const Json choice =
      post("/v1/chat/completions", chat_body(10, R"("logprobs":true,"top_logprobs":2)"))["choices"][0];
  const Json& content = choice["logprobs"]["content"];
  ASSERT_EQ(content.size(), 10U);
  for (const Json& token : content) {
    std::string bytes;
    for (const Json& byte : token["bytes"]) bytes += static_cast<char>(byte.get<int>());
    EXPECT_EQ(bytes, token["token"]);
    ASSERT_EQ(token["top_logprobs"].size(), 2U);
    EXPECT_EQ(token["top_logprobs"][0]["token"], token["token"]);  // greedy
    EXPECT_GE(token["top_logprobs"][0]["logprob"], token["top_logprobs"][1]["logprob"]);
  }
  const Json without = post("/v1/chat/completions", chat_body(3, R"("logprobs":true)"))["choices"][0];
  EXPECT_EQ(without["logprobs"]["content"][0]["top_logprobs"], Json::array());
}

TEST_F(AnswerLogprobs, text_offsets_are_places_in_the_text) {
  const Json choice = completion(30, R"("logprobs":0,"skip_special_tokens":false)");
  const std::string text = choice["text"];
  std::vector<std::size_t> begins;  // of characters
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) begins.push_back(i);
  const Json& logprobs = choice["logprobs"];
  for (std::size_t i = 0; i < logprobs["tokens"].size(); ++i) {
    const std::size_t begin = begins.at(logprobs["text_offset"][i].get<std::size_t>());
    EXPECT_TRUE(text.substr(begin).starts_with(logprobs["tokens"][i].get<std::string>())) << i << text;
  }
}

TEST_F(AnswerLogprobs, an_echo_scores_the_prompt) {
  const std::string answer = completion(4, "")["text"];
  const Json choice = completion(4, R"("echo":true,"logprobs":1)");
  EXPECT_EQ(choice["text"], "hello" + answer);
  const Json& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 5U + 4U);
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(logprobs["tokens"][i], std::string(1, "hello"[i]));
    EXPECT_EQ(logprobs["text_offset"][i], i);
    if (i == 0) continue;
    const std::vector<double> all =
        FakeModel().logprobs_after({prompt_.begin(), prompt_.begin() + static_cast<std::ptrdiff_t>(i)});
    EXPECT_NEAR(logprobs["token_logprobs"][i].get<double>(), all[static_cast<std::size_t>(prompt_[i])], 1e-4);
  }
  EXPECT_EQ(logprobs["text_offset"][5], 5);
}

TEST_F(AnswerLogprobs, an_echo_needs_no_answer) {
  const Json answer =
      post("/v1/completions",
           R"({"model":"tiny","prompt":["hello","a"],"echo":true,"max_tokens":0,"logprobs":0})");
  EXPECT_EQ(answer["choices"][0]["text"], "hello");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["choices"][0]["logprobs"]["tokens"].size(), 5U);
  EXPECT_EQ(answer["choices"][1]["text"], "a");
  EXPECT_EQ(answer["choices"][1]["logprobs"]["token_logprobs"], Json::array({nullptr}));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 6);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
  const Json plain =
      post("/v1/completions", R"({"model":"tiny","prompt":[10,7],"echo":true,"max_tokens":0})");
  EXPECT_EQ(plain["choices"][0]["text"], "he");
  EXPECT_TRUE(plain["choices"][0]["logprobs"].is_null());
}

TEST_F(AnswerLogprobs, too_many_of_prompts_are_refused) {
  const std::string prompt(500, 'a');
  const Json error =
      post("/v1/completions",
           fmt::format(R"({{"model":"tiny","prompt":{},"echo":true,"max_tokens":1,"logprobs":20,"n":16}})",
                       Json(std::vector<std::string>(10, prompt)).dump()),
           400)["error"];
  EXPECT_EQ(error["param"], "echo");
}

TEST_F(AnswerLogprobs, a_stream_says_the_same) {
  for (const std::string fields :
       {R"("logprobs":2)", R"("logprobs":2,"echo":true)", R"("echo":true)", R"("logprobs":1,"stop":"e")",
        R"("logprobs":1,"skip_special_tokens":false,"temperature":1,"seed":4)"}) {
    const Json whole = completion(40, fields);
    std::string text;
    Json sum{{"tokens", Json::array()},
             {"token_logprobs", Json::array()},
             {"top_logprobs", Json::array()},
             {"text_offset", Json::array()}};
    for (const Json& chunk : chunks("/v1/completions", completion_body(40, fields + R"(,"stream":true)"))) {
      text += chunk["text"].get<std::string>();
      if (chunk["logprobs"].is_null()) continue;
      for (auto& [name, list] : sum.items())
        for (const Json& entry : chunk["logprobs"][name]) list.push_back(entry);
    }
    EXPECT_EQ(text, whole["text"]) << fields;
    EXPECT_EQ(sum["tokens"].empty() ? Json(nullptr) : sum, whole["logprobs"]) << fields;
  }
}

TEST_F(AnswerLogprobs, of_every_token_that_is_counted) {
  const Json answer =
      post("/v1/chat/completions", R"({"model":"tiny","messages":"hello","max_tokens":400,"logprobs":true})");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["choices"][0]["logprobs"]["content"].size(), answer["usage"]["completion_tokens"]);
  EXPECT_EQ(answer["choices"][0]["logprobs"]["content"].back()["token"], "<|im_end|>");
}

}  // namespace
}  // namespace lmdeploy::testing
