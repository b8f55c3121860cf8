// What a request asks of the draws reaches the model, and what it may not ask is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "server/json.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

class AnswerSampling : public ServerTest {
 protected:
  Json post(std::string_view body, int status = 200) {
    return ServerTest::post("/v1/completions", body, status);
  }
  Json choice(int max_tokens, const std::string& fields) {
    return post(completion_body(max_tokens, fields))["choices"][0];
  }
  std::string text_of(int max_tokens, const std::string& fields) {
    return choice(max_tokens, fields)["text"].get<std::string>();
  }
};

TEST_F(AnswerSampling, penalties_keep_tokens_apart) {
  for (const char* fields : {R"("presence_penalty":2)", R"("frequency_penalty":2)"}) {
    const auto tokens = choice(16, std::string(R"("logprobs":0,)") + fields)["logprobs"]["tokens"];
    std::set<std::string> distinct;
    for (const Json& token : tokens) distinct.insert(token.get<std::string>());
    // Logits lie in [0, 4): half of that is enough to part most, and none comes three times.
    EXPECT_GE(distinct.size(), tokens.size() - 4) << fields;
  }
}

TEST_F(AnswerSampling, a_bias_forces_and_forbids) {
  EXPECT_EQ(text_of(5, R"("logit_bias":{"3":100})"), "aaaaa");
  const std::string usual = text_of(30, "");
  const std::string first = usual.substr(0, 1);
  const auto id = server_.model().tokenizer.token_to_id(first);
  ASSERT_TRUE(id);
  const std::string other = text_of(30, fmt::format(R"("logit_bias":{{"{}":-100}})", *id));
  EXPECT_EQ(other.find(first), std::string::npos);
}

TEST_F(AnswerSampling, bad_words_do_not_come) {
  const std::string usual = text_of(40, "");
  for (const std::size_t len : {1, 2, 3}) {
    const Json word = usual.substr(5, len);
    const std::string text = text_of(40, R"("bad_words":[)" + word.dump() + "]");
    EXPECT_EQ(text.find(word.get<std::string>()), std::string::npos) << word;
  }
}

TEST_F(AnswerSampling, the_best_of_several_are_given) {
  const std::string draw = R"("temperature":1.5,"seed":3,"logprobs":0)";
  const auto mean = [](const Json& choice) {
    double sum = 0;
    for (const Json& logprob : choice["logprobs"]["token_logprobs"]) sum += logprob.get<double>();
    return sum / static_cast<double>(choice["logprobs"]["token_logprobs"].size());
  };
  const Json all = post(completion_body(12, draw + R"(,"n":6)"));
  std::vector<std::pair<double, std::string>> ranked;
  for (const Json& one : all["choices"]) ranked.emplace_back(-mean(one), one["text"]);
  std::sort(ranked.begin(), ranked.end());
  const Json best = post(completion_body(12, draw + R"(,"n":2,"best_of":6)"));
  ASSERT_EQ(best["choices"].size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(best["choices"][i]["text"], ranked[i].second);
    EXPECT_EQ(best["choices"][i]["index"], i);
    EXPECT_EQ(best["choices"][i]["finish_reason"], "length");
  }
  EXPECT_EQ(best["usage"]["completion_tokens"], 6 * 12);
  EXPECT_EQ(best["usage"]["prompt_tokens"], 5);
  EXPECT_TRUE(post(completion_body(3, R"("best_of":2)"))["choices"][0]["logprobs"].is_null());
}

TEST_F(AnswerSampling, an_unknown_value_is_refused_by_name) {
  for (const std::string fields :
       {R"("presence_penalty":3)", R"("logit_bias":{"64":1})", R"("bad_words":[""])", R"("typical_p":2)",
        R"("best_of":0)", R"("logprobs":21)", R"("echo":1)"}) {
    const Json error = post(completion_body(3, fields), 400)["error"];
    const std::string name = fields.substr(1, fields.find('"', 1) - 1);
    EXPECT_TRUE(error["param"].get<std::string>().starts_with(name)) << error;
    EXPECT_NE(error["message"].get<std::string>().find("found"), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace lmdeploy::testing
