#include "engine/engine_policy.h"

#include <gtest/gtest.h>

#include "support/fake_model.h"

namespace lmdeploy::testing {
namespace {

TEST(EnginePolicy, OnlyTheCpuStopsPromptsAtFewTokens) {
  EngineOptions options;
  EXPECT_EQ(max_prompt_tokens(options), kMaxPromptTokens);
  options.device = Device::cuda;
  EXPECT_EQ(max_prompt_tokens(options), options.max_prefill_token_num);
  options.max_prefill_token_num = 100;
  EXPECT_EQ(max_prompt_tokens(options), 100);
  options.device = Device::cpu;
  EXPECT_EQ(max_prompt_tokens(options), 100);
}

TEST(EnginePolicy, OnlyACardHasUnpacedPromptTokens) {
  EngineOptions options{.cache_bytes = std::int64_t{1} << 30, .num_threads = 4};
  EXPECT_EQ(scheduler_options(options, FakeModel().info()).unpaced_prompt_tokens, 0);
  options.device = Device::cuda;
  EXPECT_GT(scheduler_options(options, FakeModel().info()).unpaced_prompt_tokens, 1000);
}

TEST(EnginePolicy, EveryTermOfTheFirstGuessCountsAndACardsAreSmaller) {
  ModelInfo info = FakeModel().info();
  info.num_layers = 32;
  info.vocab_size = 100'000;
  info.decode_read_bytes = std::int64_t{14} << 30;
  EngineOptions options{.cache_bytes = std::int64_t{1} << 30, .num_threads = 4};
  const StepCost cpu = scheduler_options(options, info).cost;
  options.device = Device::cuda;
  const StepCost card = scheduler_options(options, info).cost;
  for (const auto term : {&StepCost::step_ms, &StepCost::token_ms, &StepCost::draw_ms, &StepCost::pair_ms,
                          &StepCost::context_token_ms}) {
    EXPECT_GT(card.*term, 0);
    EXPECT_LT(card.*term, cpu.*term);
  }
}

}  // namespace
}  // namespace lmdeploy::testing
