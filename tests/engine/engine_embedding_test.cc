// Embeddings of prompts: the hidden states that they are made of, whatever else happens to the request.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/answers.h"
#include "engine/test_engine.h"
#include "model/registry.h"
#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

constexpr EngineOptions kOptions{.cache_bytes = 1 << 20, .num_threads = 1};

Request embedding_request(std::vector<TokenId> prompt, Pooling pooling) {
  Request request;
  request.prompt_ids = std::move(prompt);
  request.pooling = pooling;
  return request;
}

std::vector<float> expected(const std::vector<TokenId>& prompt, Pooling pooling) {
  const FakeModel model;
  std::vector<float> hidden(static_cast<std::size_t>(model.info().hidden_size));
  std::vector<double> sums(hidden.size());
  const std::size_t first = pooling == Pooling::last ? prompt.size() : 1;
  for (std::size_t len = first; len <= prompt.size(); len++) {
    model.hidden_after(std::span(prompt).first(len), hidden);
    for (std::size_t i = 0; i < hidden.size(); i++) sums[i] += static_cast<double>(hidden[i]);
  }
  std::vector<float> means;
  for (const double sum : sums)
    means.push_back(static_cast<float>(sum / static_cast<double>(prompt.size() - first + 1)));
  return means;
}

void expect_embedding(const Answer& answer, const std::vector<TokenId>& prompt, Pooling pooling) {
  EXPECT_EQ(answer.finish_reason, FinishReason::length) << answer.error;
  EXPECT_EQ(answer.num_last_calls, 1);
  EXPECT_TRUE(answer.tokens.empty());
  EXPECT_EQ(answer.embedding, expected(prompt, pooling)) << prompt.size();
}

TEST(EngineEmbedding, IsTheLastStateOrTheMean) {
  TestEngine engine(std::make_unique<FakeModel>(), kOptions);
  for (const int len : {1, 2, 63, 64, 65, 513, 700})
    for (const Pooling pooling : {Pooling::last, Pooling::mean}) {
      const std::vector<TokenId> prompt = some_prompt(len, len);
      expect_embedding(answer(engine, embedding_request(prompt, pooling)), prompt, pooling);
    }
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.num_used_blocks, 0);
  EXPECT_EQ(stats.num_generated_tokens, 0U);
}

TEST(EngineEmbedding, DoesNotDependOnChunksAndCompany) {
  EngineOptions options = kOptions;
  options.max_prefill_token_num = 48;
  TestEngine engine(std::make_unique<FakeModel>(), options);
  Answers answers;
  for (int i = 0; i < 40; i++) {
    const std::vector<TokenId> prompt = some_prompt(i, 1 + 17 * i);
    if (i % 4 == 3)
      submit(engine, greedy_request(prompt, 20), answers, i);
    else
      submit(engine, embedding_request(prompt, i % 4 == 0 ? Pooling::last : Pooling::mean), answers, i);
  }
  for (int i = 0; i < 40; i++) {
    if (i % 4 == 3) {
      EXPECT_EQ(answers.wait(i).tokens.size(), 20U);
    } else {
      expect_embedding(answers.wait(i), some_prompt(i, 1 + 17 * i),
                       i % 4 == 0 ? Pooling::last : Pooling::mean);
    }
  }
}

// A pool that a few of the prompts fill: they lose their blocks and are computed again.
TEST(EngineEmbedding, OutlivesPreemptions) {
  EngineOptions options = kOptions;
  options.cache_bytes = std::int64_t{8} * 64 * 14;
  options.session_len = 640;
  TestEngine engine(std::make_unique<FakeModel>(), options);
  Answers answers;
  for (int i = 0; i < 24; i++) {
    submit(engine, greedy_request(some_prompt(100 + i, 60), 300), answers, 100 + i);
    submit(engine, embedding_request(some_prompt(i, 500), Pooling::mean), answers, i);
  }
  for (int i = 0; i < 24; i++) {
    expect_embedding(answers.wait(i), some_prompt(i, 500), Pooling::mean);
    EXPECT_EQ(answers.wait(100 + i).tokens.size(), 300U);
  }
}

TEST(EngineEmbedding, LeavesNothingInThePrefixCacheAndReadsNothing) {
  TestEngine engine(std::make_unique<FakeModel>(), kOptions);
  const std::vector<TokenId> prompt = some_prompt(5, 300);
  expect_embedding(answer(engine, embedding_request(prompt, Pooling::last)), prompt, Pooling::last);
  EXPECT_EQ(engine.stats().num_cached_blocks, 0);
  EXPECT_EQ(answer(engine, greedy_request(prompt, 3)).timings.num_cached_tokens, 0);
  const std::int64_t num_cached = engine.stats().num_cached_blocks;
  EXPECT_GT(num_cached, 0);
  const Answer again = answer(engine, embedding_request(prompt, Pooling::mean));
  expect_embedding(again, prompt, Pooling::mean);
  EXPECT_EQ(again.timings.num_cached_tokens, 0);
  EXPECT_EQ(engine.stats().num_cached_blocks, num_cached);
}

TEST(EngineEmbedding, OfStatesThatAreNotNumbersIsAnError) {
  FakeModelOptions model;
  model.nan_token = 9;
  TestEngine engine(std::make_unique<FakeModel>(model), kOptions);
  const Answer bad = answer(engine, embedding_request({5, 9, 6}, Pooling::mean));
  EXPECT_EQ(bad.finish_reason, FinishReason::error);
  EXPECT_TRUE(bad.embedding.empty());
  EXPECT_EQ(answer(engine, embedding_request({5, 9, 6}, Pooling::last)).finish_reason, FinishReason::length);
}

TEST(EngineEmbedding, ExcludesScoresOfThePrompt) {
  TestEngine engine(std::make_unique<FakeModel>(), kOptions);
  Request request = embedding_request({5, 6}, Pooling::last);
  request.prompt_logprobs = true;
  const SubmitResult result = engine.submit(request, [](const Output&) {});
  ASSERT_TRUE(std::holds_alternative<Rejected>(result));
  EXPECT_EQ(std::get<Rejected>(result).reason, Rejected::Reason::invalid);
}

// Against Hugging Face transformers (tools/make_embedding_goldens.py).
class RealModelEmbedding : public ::testing::TestWithParam<std::string> {
 protected:
  static std::filesystem::path folder() {
    return std::filesystem::path(LMDEPLOY_SOURCE_DIR "/tests/golden/models") / GetParam();
  }
  static nlohmann::json read(const char* name) {
    std::ifstream file(folder() / name);
    return nlohmann::json::parse(file);
  }
  // Of each prompt, with company and in chunks of at most `max_chunk`.
  std::vector<std::vector<float>> embed(Pooling pooling, std::int32_t max_chunk) {
    EngineOptions options = kOptions;
    options.max_prefill_token_num = max_chunk;
    ThreadPool pool(1);
    Workspace workspace(host_allocator());
    Ctx ctx;
    ctx.pool = &pool;
    ctx.allocator = &host_allocator();
    ctx.workspace = &workspace;
    TestEngine engine(load_model(ctx, folder(), {}), options);
    Answers answers;
    int key = 0;
    for (const auto& prompt : prompts_)
      submit(engine, embedding_request(prompt.at("ids"), pooling), answers, key++);
    std::vector<std::vector<float>> embeddings;
    for (int i = 0; i < key; i++) embeddings.push_back(answers.wait(i).embedding);
    return embeddings;
  }
  const nlohmann::json prompts_ = read("golden.json").at("prompts");
};

TEST_P(RealModelEmbedding, IsTransformersWhateverTheChunks) {
  const nlohmann::json goldens = read("embeddings.json");
  for (const auto& [name, pooling] : {std::pair("last", Pooling::last), std::pair("mean", Pooling::mean)}) {
    const auto whole = embed(pooling, 4096);
    ASSERT_EQ(whole.size(), goldens.size());
    EXPECT_EQ(embed(pooling, 7), whole);
    for (std::size_t i = 0; i < whole.size(); i++) {
      const std::vector<float> expected = goldens[i].at(name);
      ASSERT_EQ(whole[i].size(), expected.size());
      for (std::size_t j = 0; j < expected.size(); j++) EXPECT_NEAR(whole[i][j], expected[j], 2e-4) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealModelEmbedding, ::testing::Values("llama", "mistral", "qwen2", "qwen3"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace lmdeploy::testing
