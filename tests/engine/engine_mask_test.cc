// Answers that have to have a form: each draw is from what its mask allows, whatever the company.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "base/error.h"
#include "engine/answers.h"
#include "engine/test_engine.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kBlockBytes = 512;  // of the fake model
constexpr TokenId kEnd = 63;

using Allows = std::function<bool(const std::vector<TokenId>& answer, TokenId next)>;

// What the rule allows behind the tokens so far.
class RuleMask final : public TokenMask {
 public:
  explicit RuleMask(Allows allows, std::function<void()> before_fill = {})
      : allows_(std::move(allows)), before_fill_(std::move(before_fill)) {}

  bool fill(std::span<std::uint32_t> mask) override {
    if (before_fill_) before_fill_();
    bool goes_on = false;
    std::ranges::fill(mask, 0U);
    for (TokenId id = 0; id <= kEnd; id++) {
      if (!allows_(answer_, id)) continue;
      mask[static_cast<std::size_t>(id) / 32] |= 1U << (id % 32);
      goes_on = goes_on || id != kEnd;
    }
    return goes_on;
  }
  void accept(TokenId token) override {
    if (!allows_(answer_, token)) throw Error("a token that was not allowed");
    answer_.push_back(token);
  }

 private:
  const Allows allows_;
  const std::function<void()> before_fill_;
  std::vector<TokenId> answer_;
};

// Tokens that ascend by at most `step`, and the end behind the last.
Allows ascending(TokenId step) {
  return [step](const std::vector<TokenId>& answer, TokenId next) {
    const TokenId last = answer.empty() ? -1 : answer.back();
    return next == kEnd ? last >= kEnd - 1 : next > last && next <= last + step;
  };
}

Request masked(Request request, Allows allows, std::function<void()> before_fill = {}) {
  request.stop_token_ids = {kEnd};
  request.mask = std::make_shared<RuleMask>(std::move(allows), std::move(before_fill));
  return request;
}

class EngineMask : public ::testing::Test {
 protected:
  static std::unique_ptr<TestEngine> engine(EngineOptions options = {}, FakeModelOptions model = {}) {
    options.num_threads = 1;
    if (options.cache_bytes == 0) options.cache_bytes = 1000 * kBlockBytes;
    return std::make_unique<TestEngine>(std::make_unique<FakeModel>(model), options);
  }

  static void expect_ascending(const Answer& answer, TokenId step) {
    EXPECT_EQ(answer.error, "");
    EXPECT_EQ(answer.finish_reason, FinishReason::stop);
    TokenId last = -1;
    for (const TokenId token : answer.tokens) {
      EXPECT_TRUE(token > last && (token <= last + step || token == kEnd)) << last << " " << token;
      last = token;
    }
    EXPECT_EQ(last, kEnd);
  }

  static Request sampled(int seed) {
    Request request = greedy_request(some_prompt(seed, 30), 100);
    request.sampling.temperature = 1.5F;
    request.sampling.seed = static_cast<std::uint64_t>(seed);
    return request;
  }
};

TEST_F(EngineMask, TokensAreThoseThatItAllows) {
  const auto engine = this->engine();
  for (int seed = 0; seed < 10; seed++) {
    expect_ascending(answer(*engine, masked(sampled(seed), ascending(5))), 5);
    expect_ascending(answer(*engine, masked(greedy_request(some_prompt(seed, 3), 100), ascending(1))), 1);
  }
}

TEST_F(EngineMask, WhatItAllowsIsDrawnAsWithoutIt) {
  const auto engine = this->engine();
  for (int seed = 0; seed < 5; seed++) {
    Request request = sampled(seed);
    request.stop_token_ids = {kEnd};
    const Answer without = answer(*engine, request);
    EXPECT_EQ(answer(*engine, masked(request, [](const auto&, TokenId) { return true; })).tokens,
              without.tokens);
    const auto as_before = [&](const std::vector<TokenId>& said, TokenId next) {
      return said.size() < without.tokens.size() && without.tokens[said.size()] == next;
    };
    EXPECT_EQ(answer(*engine, masked(request, as_before)).tokens, without.tokens);
  }
}

TEST_F(EngineMask, ReachingMaxNewTokensIsLength) {
  Request request = masked(sampled(1), ascending(1));
  request.max_new_tokens = 10;
  const Answer ended = answer(*engine(), request);
  EXPECT_EQ(ended.finish_reason, FinishReason::length);
  EXPECT_EQ(ended.tokens.size(), 10U);
}

TEST_F(EngineMask, LogprobsAreTheModelsOwn) {
  const auto engine = this->engine();
  Request request = masked(sampled(1), ascending(1));
  request.logprobs = true;
  request.num_top_logprobs = 2;
  const Answer ended = answer(*engine, request);
  std::vector<TokenId> ids = request.prompt_ids;
  for (std::size_t i = 0; i < ended.tokens.size(); i++) {
    const std::vector<double> expected = FakeModel().logprobs_after(ids);
    EXPECT_NEAR(ended.logprobs[i], expected[static_cast<std::size_t>(ended.tokens[i])], 1e-4);
    EXPECT_EQ(ended.top_logprobs[i].size(), 2U);
    ids.push_back(ended.tokens[i]);
  }
}

TEST_F(EngineMask, AWholeAnswerEndsWhateverElseWasAsked) {
  Request request = masked(sampled(1), ascending(5));
  request.min_new_tokens = 90;
  request.bad_words = {{kEnd}};
  expect_ascending(answer(*engine(), request), 5);
}

TEST_F(EngineMask, ADeadEndIsAnErrorThatSaysSo) {
  const auto engine = this->engine();
  Request request = masked(sampled(1), ascending(1));
  request.bad_words = {{7}};
  Answer ended = answer(*engine, request);
  EXPECT_EQ(ended.finish_reason, FinishReason::error);
  EXPECT_NE(ended.error.find("the form of the answer"), std::string::npos) << ended.error;
  EXPECT_EQ(ended.tokens.size(), 7U);  // 0 to 6
  ended = answer(*engine, masked(sampled(1), ascending(5), [] { throw Error("the grammar is lost"); }));
  EXPECT_EQ(ended.finish_reason, FinishReason::error);
  EXPECT_NE(ended.error.find("the grammar is lost"), std::string::npos) << ended.error;
  expect_ascending(answer(*engine, masked(sampled(1), ascending(5))), 5);
}

TEST_F(EngineMask, APromptAloneNeedsNoMask) {
  Request request = masked(sampled(1), ascending(5), [] { throw Error("asked"); });
  request.prompt_only = true;
  const Answer ended = answer(*engine(), request);
  EXPECT_EQ(ended.finish_reason, FinishReason::length);
  EXPECT_EQ(ended.error, "");
}

// Every fourth token in turns, 200 of them.
Allows in_turns(std::size_t first) {
  return [first](const std::vector<TokenId>& answer, TokenId next) {
    if (next == kEnd || answer.size() == 200) return next == kEnd && answer.size() == 200;
    return static_cast<std::size_t>(next) % 4 == (first + answer.size()) % 4;
  };
}

// Company, chunks and preemptions beside answers without a form: all as alone.
TEST_F(EngineMask, CompanyDoesNotMatter) {
  constexpr int kCount = 24;
  const auto request = [](int key) {
    Request wanted = sampled(key);
    wanted.max_new_tokens = 250;
    return key % 3 == 0 ? wanted : masked(std::move(wanted), in_turns(static_cast<std::size_t>(key)));
  };
  std::vector<Answer> alone;
  const auto lonely = engine();
  for (int key = 0; key < kCount; key++) alone.push_back(answer(*lonely, request(key)));
  for (const std::int64_t num_blocks : {200, 9}) {
    Answers answers;
    const auto together = engine({.max_prefill_token_num = 40, .cache_bytes = num_blocks * kBlockBytes});
    for (int key = 0; key < kCount; key++) submit(*together, request(key), answers, key);
    for (int key = 0; key < kCount; key++) {
      const Answer ended = answers.wait(key);
      EXPECT_EQ(ended.tokens, alone[static_cast<std::size_t>(key)].tokens) << key;
      EXPECT_EQ(ended.finish_reason, key % 3 == 0 ? FinishReason::length : FinishReason::stop) << key;
    }
    EXPECT_EQ(together->stats().num_preemptions > 0, num_blocks < 20);
  }
}

TEST_F(EngineMask, ASlowMaskIsWaitedFor) {
  const auto slow = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  expect_ascending(answer(*engine(), masked(sampled(1), ascending(8), slow)), 8);
}

// The work goes on behind the answer's back, and nobody misses it.
TEST_F(EngineMask, AnAnswerMayEndWhileItsMaskIsMade) {
  Answers answers;
  std::promise<void> may_go_on;
  std::shared_future<void> gate = may_go_on.get_future().share();
  std::atomic<bool> is_being_made = false;
  FakeModelOptions model;
  model.step_time = std::chrono::milliseconds(50);
  const auto engine = this->engine({}, model);
  const RequestId id = submit(*engine,
                              masked(sampled(1), ascending(1),
                                     [&] {
                                       is_being_made = true;
                                       gate.wait();
                                     }),
                              answers, 1);
  ASSERT_TRUE(eventually([&] { return is_being_made.load(); }));
  engine->abort(id);
  may_go_on.set_value();
  EXPECT_EQ(answers.wait(1).finish_reason, FinishReason::abort);
  expect_ascending(answer(*engine, masked(sampled(1), ascending(60))), 60);
}

}  // namespace
}  // namespace lmdeploy::testing
