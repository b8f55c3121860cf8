// The engine on a card: the CPU's tokens, whatever the company, the chunks and the cache.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include "cuda/no_card.h"
#include "engine/answers.h"
#include "model/compute_context.h"
#include "model/registry.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int32_t kVocabSize = 97;  // ids below it are in every golden's vocabulary

using Tokens = std::vector<std::vector<TokenId>>;  // of each request

struct Outcome {
  Tokens tokens;
  EngineStats stats;
};

// Greedy and drawn ones, many that begin alike, prompts of up to 200 tokens, answers of up to 50.
std::vector<Request> mixed_requests() {
  std::vector<Request> requests;
  for (int i = 0; i < 16; i++) {
    std::vector<TokenId> ids = some_prompt(i % 3, 20 + 11 * i, kVocabSize);
    const std::vector<TokenId> tail = some_prompt(100 + i, i, kVocabSize);
    ids.insert(ids.end(), tail.begin(), tail.end());
    Request request = greedy_request(std::move(ids), 20 + 2 * i);
    if (i % 2 == 1)
      request.sampling = {.temperature = 0.9F,
                          .top_k = i % 4 == 1 ? 20 : 0,
                          .top_p = 0.95F,
                          .repetition_penalty = 1.1F,
                          .seed = static_cast<std::uint64_t>(i)};
    if (i % 4 == 2) {
      request.sampling.presence_penalty = 0.5F;
      request.logit_bias = {{5, 2}, {6, -50}};
      request.bad_words = {{7}, {8, 9}};
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

class CudaEngine : public ::testing::TestWithParam<std::int32_t> {  // bits of the KV cache
 protected:
  void SetUp() override {
    if (!why_no_card().empty()) GTEST_SKIP() << why_no_card();
  }

  Outcome run(EngineOptions options, std::int64_t num_blocks = 100, const std::string& name = "qwen2") const {
    options.session_len = 256;
    options.num_threads = 2;
    std::unique_ptr<const Model> model;
    {
      ComputeContext compute(options.device, 2);
      LoadOptions load_options{.dtype = DType::f32, .session_len = 256, .kv_bits = GetParam()};
      load_options.calibration_ids = some_prompt(7, 100, kVocabSize);
      model = load_model(compute.ctx(), LMDEPLOY_SOURCE_DIR "/tests/golden/models/" + name, load_options);
    }
    options.cache_bytes = num_blocks * KvPool::block_bytes(model->info().kv_layout, model->info().num_layers);
    Answers answers;
    Engine engine(std::move(model), options);
    return {answers_of(engine, answers), engine.stats()};
  }

 private:
  static Tokens answers_of(Engine& engine, Answers& answers) {
    const std::vector<Request> requests = mixed_requests();
    Tokens tokens;
    for (std::size_t i = 0; i < requests.size(); i++)
      submit(engine, requests[i], answers, static_cast<int>(i));
    for (std::size_t i = 0; i < requests.size(); i++) {
      const Answer answer = answers.wait(static_cast<int>(i));
      EXPECT_EQ(answer.error, "") << "request " << i;
      tokens.push_back(answer.tokens);
    }
    return tokens;
  }
};

TEST_P(CudaEngine, TokensAreTheCpus) {
  if (GetParam() != 0) GTEST_SKIP() << "codes of a cache may differ where a number lies between two";
  for (const std::string name : {"llama", "qwen2", "qwen3", "mistral", "internlm2_5"})
    EXPECT_EQ(run({.device = Device::cuda}, 100, name).tokens, run({.device = Device::cpu}, 100, name).tokens)
        << name;
}

TEST_P(CudaEngine, CompanyAndChunksDoNotMatter) {
  const Outcome together = run({.device = Device::cuda, .enable_prefix_caching = false});
  const Outcome alone = run({.device = Device::cuda, .max_batch_size = 1, .enable_prefix_caching = false});
  EXPECT_EQ(alone.tokens, together.tokens);
  for (const std::int32_t chunk : {13, 64})
    EXPECT_EQ(
        run({.device = Device::cuda, .max_prefill_token_num = chunk, .enable_prefix_caching = false}).tokens,
        together.tokens)
        << "chunks of " << chunk;
}

TEST_P(CudaEngine, GraphsAndStepsAheadDoNotMatter) {
  const Tokens tokens = run({.device = Device::cuda}).tokens;
  EXPECT_EQ(run({.device = Device::cuda, .steps_ahead = 0}).tokens, tokens);
  EXPECT_EQ(run({.device = Device::cuda, .eager = true}).tokens, tokens);
  EXPECT_EQ(run({.device = Device::cuda, .eager = true, .steps_ahead = 1}).tokens, tokens);
}

TEST_P(CudaEngine, ThePrefixCacheDoesNotMatter) {
  const Outcome on = run({.device = Device::cuda, .max_batch_size = 4});
  EXPECT_EQ(run({.device = Device::cuda, .max_batch_size = 4, .enable_prefix_caching = false}).tokens,
            on.tokens);
  EXPECT_GT(on.stats.num_cache_hit_tokens, 0U);
}

TEST_P(CudaEngine, PreemptionsDoNotMatter) {
  const Tokens alone = run({.device = Device::cuda, .max_batch_size = 1}).tokens;
  std::uint64_t num_preemptions = 0;
  for (const std::int64_t num_blocks : {5, 6, 7, 8, 9}) {
    const Outcome outcome = run({.device = Device::cuda}, num_blocks);
    EXPECT_EQ(outcome.tokens, alone) << num_blocks << " blocks";
    num_preemptions += outcome.stats.num_preemptions;
  }
  EXPECT_GT(num_preemptions, 0U);
}

INSTANTIATE_TEST_SUITE_P(KvBits, CudaEngine, ::testing::Values(0, 8, 4));

}  // namespace
}  // namespace lmdeploy::testing
