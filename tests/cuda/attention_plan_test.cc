// How the decode kernel's work is divided; a card is not needed.
#include "ops/cuda/attention_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace lmdeploy::ops::cuda {
namespace {

constexpr std::int64_t kNumMultiprocessors = 132;
// Of 4-bit keys and values of 128 dimensions: 4 CTAs of 4 warps at a time, or 2 of 8.
constexpr std::array<DecodeWidth, 2> kWidths = {{{4, 4, 32, 13056, 16}, {8, 2, 32, 13056, 32}}};

DecodePlan plan(std::int64_t num_units, std::int64_t num_pages, std::int64_t max_splits = kMaxSplits) {
  return plan_decode({num_units, num_pages, 8704, kNumMultiprocessors, max_splits}, kWidths);
}
int ctas_at_once(const DecodePlan& plan) {
  return plan.num_warps == kWidths[0].num_warps ? kWidths[0].num_ctas : kWidths[1].num_ctas;
}

TEST(AttentionPlan, SplitsHaveAPageAtLeastAndAreNoMoreThanAllowed) {
  for (const std::int64_t num_units : {1, 2, 8, 33, 64, 133, 1024, 100000})
    for (const std::int64_t num_pages : {1, 2, 3, 16, 500, 20000})
      for (const std::int64_t max_splits : {1, 128}) {
        const DecodePlan p = plan(num_units, num_pages, max_splits);
        EXPECT_GE(p.num_splits, 1);
        EXPECT_LE(p.num_splits, std::min(num_pages, max_splits));
        EXPECT_TRUE(p.num_warps == 4 || p.num_warps == 8);
      }
}

TEST(AttentionPlan, OneLongSequenceOccupiesTheCardOnce) {
  for (const std::int64_t num_kv_heads : {2, 4, 8, 16})
    for (const std::int64_t num_pages : {512, 2048}) {
      const DecodePlan p = plan(num_kv_heads, num_pages);
      const std::int64_t num_slots = kNumMultiprocessors * ctas_at_once(p);
      EXPECT_LE(num_kv_heads * p.num_splits, num_slots);
      EXPECT_GE(num_kv_heads * p.num_splits, kNumMultiprocessors * 9 / 10);
    }
}

TEST(AttentionPlan, AFullCardNeedsNoSplits) {
  for (const std::int64_t num_seqs : {66, 64, 256}) EXPECT_EQ(plan(num_seqs * 8, 16).num_splits, 1);
  EXPECT_EQ(plan(8, 1).num_splits, 1);
  EXPECT_EQ(plan(8, 2).num_splits, 1);  // merging costs more than one page
}

}  // namespace
}  // namespace lmdeploy::ops::cuda
