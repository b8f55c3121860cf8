#include "engine/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmdeploy {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// InternLM2.5 1.8B in bf16: 98304 bytes a token.
MemoryNeeds needs() {
  return {.weight_bytes = 4 * kGiB,
          .workspace_bytes = 200 * kMiB,
          .other_bytes = 100 * kMiB,
          .cache = {.block_bytes = std::int64_t{98304} * 64,
                    .block_len = 64,
                    .session_len = 32768,
                    .max_batch_size = 128}};
}

std::string refusal(const MemoryPlan& plan) {
  try {
    check_fits(plan);
  } catch (const Error& error) {
    return error.what();
  }
  return "it fits";
}

TEST(MemoryPlan, TheFractionIsOfWhatTheWeightsLeave) {
  const MemoryPlan plan = plan_memory(0.5, needs(), 24 * kGiB);
  EXPECT_EQ(plan.cache.num_blocks, 10 * kGiB / needs().cache.block_bytes);
  EXPECT_EQ(plan.total_bytes(), 4 * kGiB + plan.cache.bytes + 300 * kMiB);
  EXPECT_EQ(plan.left_bytes(), 24 * kGiB - plan.total_bytes());
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(refusal(plan), "it fits");
}

TEST(MemoryPlan, EveryFractionFits) {
  for (const double fraction : {0.2, 0.8, 0.99, 1.0}) {
    const MemoryPlan plan = plan_memory(fraction, needs(), 5 * kGiB);
    EXPECT_TRUE(plan.fits()) << fraction;
    EXPECT_GE(plan.left_bytes(), 0) << fraction;
  }
  EXPECT_LT(plan_memory(1.0, needs(), 5 * kGiB).left_bytes(), needs().cache.block_bytes);
}

TEST(MemoryPlan, WeightsThatDoNotFitAreSaidWithTheNumbers) {
  const MemoryPlan plan = plan_memory(0.8, needs(), 3 * kGiB);
  EXPECT_FALSE(plan.fits());
  EXPECT_EQ(plan.cache.bytes, 0);
  EXPECT_LT(plan.left_bytes(), 0);
  for (const char* part : {"4.00 GiB of weights", "200.0 MiB of workspace", "100.0 MiB for the program",
                           "48.0 MiB for one sequence of 512 tokens", "3.00 GiB of memory", "lmdeploy plan"})
    EXPECT_THAT(refusal(plan), HasSubstr(part));
}

TEST(MemoryPlan, ASizeThatIsNotThereIsSaidWithTheNumbers) {
  const MemoryPlan plan = plan_memory(8 * kGiB, needs(), 10 * kGiB);
  EXPECT_FALSE(plan.fits());
  EXPECT_THAT(refusal(plan), HasSubstr("a KV cache of 8.00 GiB was asked for"));
  EXPECT_THAT(refusal(plan), HasSubstr("leave only 5.71 GiB"));
  EXPECT_THAT(refusal(plan), HasSubstr("--cache-max-entry-count"));
}

TEST(MemoryPlan, ACacheForLessThanOneSequenceIsSaidWithTheNumbers) {
  const std::int64_t enough = 8 * needs().cache.block_bytes;  // 512 tokens
  EXPECT_TRUE(plan_memory(enough, needs(), 10 * kGiB).fits());
  const MemoryPlan plan = plan_memory(enough - 1, needs(), 10 * kGiB);
  EXPECT_FALSE(plan.fits());
  EXPECT_THAT(refusal(plan), HasSubstr("7 blocks"));
  EXPECT_THAT(refusal(plan), HasSubstr("512 tokens"));
  EXPECT_THAT(refusal(plan), HasSubstr("larger --cache-max-entry-count"));
}

}  // namespace
}  // namespace lmdeploy
