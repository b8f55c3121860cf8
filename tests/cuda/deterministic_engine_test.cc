// EngineOptions::deterministic on a card: tokens and log probabilities are the same bits whatever the
// company, the chunks, the cache and the preemptions.
#include <gtest/gtest.h>

#include "cuda/no_card.h"
#include "engine/answers.h"
#include "make_model_texts.h"
#include "make_model_weights.h"
#include "model/compute_context.h"
#include "model/registry.h"
#include "support/temp_folder.h"

namespace lmdeploy::testing {
namespace {

using make_model::Storage;

// Heads of 64 over a cache of 16 bits or codes, groups of 128: what the fast kernels are for.
constexpr make_model::ModelShape kShape{"deterministic", 400, 256, 512, 2, 4, 2};
constexpr std::int32_t kSessionLen = 768;

struct Case {
  Storage storage;
  std::int32_t kv_bits;
};

// What came of a request. Floats are compared as they are: equal means equal bits, but for NaN.
struct Result {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::vector<std::vector<TokenLogprob>> top;
  std::vector<TokenScore> prompt_scores;

  bool operator==(const Result&) const = default;
};

struct Outcome {
  std::vector<Result> results;
  EngineStats stats;
};

// Greedy and drawn, many that begin alike, prompts of up to 550 tokens, so of one split and of two. Answers
// take more blocks than are held free for them.
std::vector<Request> mixed_requests() {
  std::vector<Request> requests;
  for (int i = 0; i < 12; i++) {
    std::vector<TokenId> ids = some_prompt(i % 2, 10 + 48 * i, kShape.vocab_size);
    const std::vector<TokenId> tail = some_prompt(100 + i, 1 + i, kShape.vocab_size);
    ids.insert(ids.end(), tail.begin(), tail.end());
    Request request = greedy_request(std::move(ids), 150 + 2 * i);
    request.ignore_eos = true;
    request.logprobs = true;
    request.num_top_logprobs = 8;
    request.prompt_logprobs = i == 5;
    if (i % 2 == 1) request.sampling = {.temperature = 0.9F, .top_p = 0.95F, .seed = 7};
    requests.push_back(std::move(request));
  }
  return requests;
}

class CudaDeterministicEngine : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!why_no_card().empty()) GTEST_SKIP() << why_no_card();
    const make_model::Form form{make_model::Layout::llama, GetParam().storage};
    ThreadPool pool(2);
    make_model::write_config(kShape, form, folder_.path());
    make_model::write_weights(pool, kShape, form, 3, folder_.path());
  }

  Outcome run(EngineOptions options, std::int64_t num_blocks = 200) const {
    options.device = Device::cuda;
    options.deterministic = true;
    options.session_len = kSessionLen;
    std::unique_ptr<const Model> model;
    {
      ComputeContext compute(options.device, 2);
      compute.ctx().deterministic = true;
      LoadOptions load_options{
          .dtype = DType::bf16, .session_len = kSessionLen, .kv_bits = GetParam().kv_bits};
      load_options.calibration_ids = some_prompt(9, 100, kShape.vocab_size);
      model = load_model(compute.ctx(), folder_.path(), load_options);
    }
    options.cache_bytes = num_blocks * KvPool::block_bytes(model->info().kv_layout, model->info().num_layers);
    Answers answers;
    Engine engine(std::move(model), options);
    return {results_of(engine, answers), engine.stats()};
  }

 private:
  static std::vector<Result> results_of(Engine& engine, Answers& answers) {
    const std::vector<Request> requests = mixed_requests();
    for (std::size_t i = 0; i < requests.size(); i++)
      submit(engine, requests[i], answers, static_cast<int>(i));
    std::vector<Result> results;
    for (std::size_t i = 0; i < requests.size(); i++) {
      const Answer answer = answers.wait(static_cast<int>(i));
      EXPECT_EQ(answer.error, "") << "request " << i;
      EXPECT_EQ(answer.tokens.size(), static_cast<std::size_t>(requests[i].max_new_tokens));
      results.push_back({answer.tokens, answer.logprobs, answer.top_logprobs, answer.prompt_scores});
    }
    return results;
  }

  TempFolder folder_;
};

void expect_equal(const std::vector<Result>& actual, const std::vector<Result>& expected,
                  const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); i++) {
    EXPECT_EQ(actual[i].tokens, expected[i].tokens) << what << ", request " << i;
    EXPECT_TRUE(actual[i] == expected[i]) << what << ": log probabilities of request " << i;
  }
}

TEST_P(CudaDeterministicEngine, NothingButTheRequestMatters) {
  const Outcome alone = run({.max_batch_size = 1, .enable_prefix_caching = false});
  expect_equal(run({.enable_prefix_caching = false}).results, alone.results, "together");
  for (const std::int32_t chunk : {13, 64, 300})
    expect_equal(run({.max_prefill_token_num = chunk, .enable_prefix_caching = false}).results, alone.results,
                 "chunks of " + std::to_string(chunk));
  const Outcome cached = run({.max_batch_size = 4});
  expect_equal(cached.results, alone.results, "with a prefix cache");
  EXPECT_GT(cached.stats.num_cache_hit_tokens, 0U);
  std::uint64_t num_preemptions = 0;
  for (const std::int64_t num_blocks : {12, 14, 17}) {
    const Outcome outcome = run({}, num_blocks);
    expect_equal(outcome.results, alone.results, std::to_string(num_blocks) + " blocks");
    num_preemptions += outcome.stats.num_preemptions;
  }
  EXPECT_GT(num_preemptions, 0U);
}

INSTANTIATE_TEST_SUITE_P(Formats, CudaDeterministicEngine,
                         ::testing::Values(Case{Storage::bf16, 0}, Case{Storage::bf16, 8},
                                           Case{Storage::bf16, 4}, Case{Storage::awq, 0},
                                           Case{Storage::awq, 8}, Case{Storage::awq, 4}));

}  // namespace
}  // namespace lmdeploy::testing
