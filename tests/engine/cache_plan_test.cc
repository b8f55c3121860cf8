#include "engine/cache_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace lmdeploy {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
// InternLM2.5 1.8B in bf16: 98304 bytes a token.
constexpr CacheNeeds kNeeds = {
    .block_bytes = std::int64_t{98304} * 64, .block_len = 64, .session_len = 32768, .max_batch_size = 128};

TEST(CacheSize, FractionsAndSizes) {
  EXPECT_EQ(std::get<double>(parse_cache_size("0.8")), 0.8);
  EXPECT_EQ(std::get<double>(parse_cache_size("1")), 1.0);
  EXPECT_EQ(std::get<std::int64_t>(parse_cache_size("8GiB")), 8 * kGiB);
  EXPECT_EQ(std::get<std::int64_t>(parse_cache_size("500MB")), 500'000'000);
  EXPECT_EQ(std::get<std::int64_t>(parse_cache_size("1.5 GiB")), 3 * kGiB / 2);
  EXPECT_EQ(std::get<std::int64_t>(parse_cache_size("1048576B")), 1 << 20);
}

TEST(CacheSize, NonsenseIsRefusedByName) {
  for (const char* text : {"", "0", "-0.5", "1.5", "80%", "nan", "inf", "8gigs", "GiB", "1e300GiB", "0.1B",
                           "0.8x", "9999999TiB", "0x10"}) {
    try {
      parse_cache_size(text);
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_THAT(e.problem(), HasSubstr(text));
      EXPECT_THAT(e.remedy(), HasSubstr("8GiB"));
    }
  }
}

// Room where nothing but the weights takes memory.
CacheRoom room(std::int64_t bytes) {
  return {bytes, bytes};
}

TEST(CachePlan, FractionOfWhatIsFree) {
  const CachePlan plan = plan_cache(0.5, kNeeds, room(20 * kGiB));
  EXPECT_EQ(plan.num_blocks, 10 * kGiB / kNeeds.block_bytes);
  EXPECT_EQ(plan.bytes, plan.num_blocks * kNeeds.block_bytes);
  EXPECT_EQ(plan.num_tokens, plan.num_blocks * 64);
  EXPECT_NEAR(plan.num_sessions, 3.33, 0.01);
  EXPECT_FALSE(plan.capped);
  EXPECT_THAT(plan.to_string(), HasSubstr(std::to_string(plan.bytes)));
  EXPECT_THAT(plan.to_string(), HasSubstr(std::to_string(plan.num_tokens)));
}

TEST(CachePlan, NamesACacheOfCodes) {
  CacheNeeds needs = kNeeds;
  EXPECT_THAT(plan_cache(0.5, needs, room(20 * kGiB)).to_string(), HasSubstr("KV cache: "));
  needs.quant_bits = 4;
  EXPECT_THAT(plan_cache(0.5, needs, room(20 * kGiB)).to_string(), HasSubstr("KV cache of int4: "));
}

TEST(CachePlan, AFractionLeavesWhatTheRestNeeds) {
  const CacheRoom tight{10 * kGiB, 7 * kGiB};
  EXPECT_EQ(plan_cache(0.6, kNeeds, tight).num_blocks, 6 * kGiB / kNeeds.block_bytes);
  EXPECT_EQ(plan_cache(0.8, kNeeds, tight).num_blocks, 7 * kGiB / kNeeds.block_bytes);
  EXPECT_EQ(plan_cache(1.0, kNeeds, {kGiB, -kGiB}).num_blocks, 0);
}

TEST(CachePlan, SizeIsRoundedDownToBlocks) {
  const CachePlan plan = plan_cache(kGiB, kNeeds, room(20 * kGiB));
  EXPECT_EQ(plan.num_blocks, kGiB / kNeeds.block_bytes);
  EXPECT_LE(plan.bytes, kGiB);
}

TEST(CachePlan, NeverMoreThanCanBeUsed) {
  CacheNeeds needs = kNeeds;
  needs.session_len = 1000;  // 16 blocks
  needs.max_batch_size = 2;
  const CachePlan plan = plan_cache(0.8, needs, room(100 * kGiB));
  EXPECT_EQ(plan.num_blocks, 32);
  EXPECT_TRUE(plan.capped);
  EXPECT_THAT(plan.to_string(), HasSubstr("capped"));
  EXPECT_EQ(plan_cache(200 * kGiB, needs, room(100 * kGiB)).num_blocks, 32) << "what the cap leaves does fit";
}

TEST(CachePlan, TheLeastIsOneSequenceOfSomeUse) {
  EXPECT_EQ(kNeeds.min_sequence_len(), 512);
  EXPECT_EQ(kNeeds.min_blocks(), 8);
  CacheNeeds tiny = kNeeds;
  tiny.session_len = 100;
  EXPECT_EQ(tiny.min_sequence_len(), 100);
  EXPECT_EQ(tiny.min_blocks(), 2);
}

}  // namespace
}  // namespace lmdeploy
