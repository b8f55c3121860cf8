// What a request asks of its draws reaches them.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/answers.h"
#include "engine/engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

class EngineSampling : public ::testing::Test {
 protected:
  static bool has(const std::vector<TokenId>& tokens, const std::vector<TokenId>& part) {
    return std::search(tokens.begin(), tokens.end(), part.begin(), part.end()) != tokens.end();
  }

  Engine engine_{std::make_unique<FakeModel>(), {.cache_bytes = 1 << 20, .num_threads = 1}};
  Request request_ = greedy_request({1, 2, 3}, 60);
};

TEST_F(EngineSampling, PresencePenaltySaysNothingTwice) {
  request_.sampling.presence_penalty = 100;
  const auto tokens = answer(engine_, request_).tokens;
  EXPECT_EQ(std::set<TokenId>(tokens.begin(), tokens.end()).size(), tokens.size());
}

TEST_F(EngineSampling, FrequencyPenaltySpreadsTheAnswer) {
  request_.max_new_tokens = 128;
  request_.sampling.frequency_penalty = 100;
  const auto tokens = answer(engine_, request_).tokens;
  for (TokenId id = 0; id < 64; id++) EXPECT_EQ(std::count(tokens.begin(), tokens.end(), id), 2) << id;
}

TEST_F(EngineSampling, PresencePenaltyBelowZeroRepeats) {
  request_.sampling.presence_penalty = -100;
  const auto tokens = answer(engine_, request_).tokens;
  EXPECT_EQ(std::set<TokenId>(tokens.begin(), tokens.end()).size(), 1U);
}

TEST_F(EngineSampling, LogitBiasForbidsAndForces) {
  const TokenId usual = answer(engine_, request_).tokens.front();
  request_.logit_bias = {{usual, -100}};
  EXPECT_FALSE(has(answer(engine_, request_).tokens, {usual}));
  request_.logit_bias = {{7, 100}};
  EXPECT_EQ(answer(engine_, request_).tokens, std::vector<TokenId>(60, 7));
}

TEST_F(EngineSampling, BadWordsDoNotComeHoweverLong) {
  const auto usual = answer(engine_, request_).tokens;
  for (const std::ptrdiff_t len : {1, 2, 5}) {
    const std::vector<TokenId> word(usual.begin() + 10, usual.begin() + 10 + len);
    request_.bad_words = {word};
    const auto tokens = answer(engine_, request_).tokens;
    EXPECT_FALSE(has(tokens, word)) << len;
    EXPECT_TRUE(std::equal(usual.begin(), usual.begin() + 9, tokens.begin()) || len == 1);
  }
}

TEST_F(EngineSampling, EveryTokenBannedIsAnError) {
  for (TokenId id = 0; id < 64; id++) request_.bad_words.push_back({id});
  const Answer ended = answer(engine_, request_);
  EXPECT_EQ(ended.finish_reason, FinishReason::error);
  EXPECT_NE(ended.error.find("banned"), std::string::npos);
}

TEST_F(EngineSampling, WhatNoSamplerCanDoIsRejected) {
  const auto rejects = [&](auto&& change, const char* name) {
    Request request = request_;
    change(request);
    const SubmitResult result = engine_.submit(request, [](const Output&) {});
    const auto* rejected = std::get_if<Rejected>(&result);
    ASSERT_NE(rejected, nullptr) << name;
    EXPECT_EQ(rejected->reason, Rejected::Reason::invalid);
    EXPECT_NE(rejected->message.find(name), std::string::npos) << rejected->message;
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  rejects([](Request& r) { r.sampling.typical_p = 1.1F; }, "typical_p");
  rejects([](Request& r) { r.sampling.presence_penalty = kInfinity; }, "presence_penalty");
  rejects([](Request& r) { r.sampling.frequency_penalty = std::nanf(""); }, "frequency_penalty");
  rejects([](Request& r) { r.logit_bias = {{64, 1}}; }, "logit_bias");
  rejects([](Request& r) { r.logit_bias = {{1, kInfinity}}; }, "logit_bias");
  rejects([](Request& r) { r.bad_words = {{1}, {}}; }, "bad_words");
  rejects([](Request& r) { r.bad_words = {{-1}}; }, "bad_words");
  rejects([](Request& r) { r.num_top_logprobs = 21; }, "num_top_logprobs");
}

}  // namespace
}  // namespace lmdeploy::testing
