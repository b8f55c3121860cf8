// /v1/encode, /tokenize and /detokenize.
#include <gtest/gtest.h>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

using Tokens = ServerTest;

TEST_F(Tokens, encode_one_text_or_several) {
  EXPECT_EQ(post("/v1/encode", R"({"input":"hello"})").dump(), R"({"input_ids":[10,7,14,14,17],"length":5})");
  EXPECT_EQ(post("/v1/encode", R"({"input":["hello","l"]})").dump(),
            R"({"input_ids":[[10,7,14,14,17],[14]],"length":[5,1]})");
  EXPECT_EQ(post("/v1/encode", R"({"input":["l"],"add_bos":false})")["length"], Json::array({1}));
}

TEST_F(Tokens, encode_puts_a_text_into_the_template_on_request) {
  const Json chat = post("/tokenize", R"({"messages":[{"role":"user","content":"hello"}]})");
  EXPECT_EQ(post("/v1/encode", R"({"input":"hello","do_preprocess":true})")["input_ids"], chat["tokens"]);
}

TEST_F(Tokens, tokenize_a_prompt) {
  const Json answer = post("/tokenize", R"({"model":"tiny","prompt":"hello","return_token_strs":true})");
  EXPECT_EQ(answer["count"], 5);
  EXPECT_EQ(answer["max_model_len"], 512);
  EXPECT_EQ(answer["tokens"].dump(), "[10,7,14,14,17]");
  EXPECT_EQ(answer["token_strs"].dump(), R"(["h","e","l","l","o"])");
  EXPECT_EQ(post("/tokenize", R"({"prompt":""})")["count"], 0);
  EXPECT_EQ(post("/tokenize", R"({"prompt":"l"})")["token_strs"], nullptr);
}

TEST_F(Tokens, tokenize_messages_as_a_chat_would_be) {
  const std::string messages = R"("messages":[{"role":"user","content":"hello"}])";
  const Json tokens = post("/tokenize", "{" + messages + "}")["tokens"];
  const Json usage =
      post("/v1/chat/completions", R"({"model":"tiny","max_tokens":1,)" + messages + "}")["usage"];
  EXPECT_EQ(usage["prompt_tokens"], tokens.size());
  EXPECT_LT(post("/tokenize", R"({"add_generation_prompt":false,)" + messages + "}")["count"], tokens.size());
}

TEST_F(Tokens, detokenize_is_the_way_back) {
  EXPECT_EQ(post("/detokenize", R"({"tokens":[10,7,14,14,17]})")["prompt"], "hello");
  EXPECT_EQ(post("/detokenize", R"({"tokens":[]})")["prompt"], "");
}

TEST_F(Tokens, refuse_by_name) {
  const auto param = [&](std::string_view path, std::string_view body) {
    return post(path, body, 400)["error"]["param"];
  };
  EXPECT_EQ(param("/v1/encode", R"({})"), "input");
  EXPECT_EQ(param("/v1/encode", R"({"input":[]})"), "input");
  EXPECT_EQ(param("/v1/encode", R"({"input":["a",1]})"), "input[1]");
  EXPECT_EQ(param("/v1/encode", R"({"input":"a","x":1})"), "x");
  EXPECT_EQ(param("/tokenize", R"({})"), "prompt");
  EXPECT_EQ(param("/tokenize", R"({"prompt":"a","messages":[]})"), "messages");
  EXPECT_EQ(param("/tokenize", R"({"messages":[{"role":"x","content":"a"}]})"), "messages[0].role");
  EXPECT_EQ(param("/detokenize", R"({"tokens":"a"})"), "tokens");
  EXPECT_EQ(param("/detokenize", R"({"tokens":[1000]})"), "tokens");
  EXPECT_EQ(server_.post("/tokenize", R"({"model":"gpt","prompt":"a"})").status, 404);
}

}  // namespace
}  // namespace lmdeploy::testing
