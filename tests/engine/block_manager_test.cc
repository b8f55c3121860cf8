#include "engine/block_manager.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/error.h"

namespace lmdeploy {
namespace {

TEST(BlockManager, AsksThenActs) {
  BlockManager blocks(3, 64);
  EXPECT_TRUE(blocks.can_allocate(3));
  EXPECT_FALSE(blocks.can_allocate(4));
  std::vector<std::int32_t> table;
  blocks.allocate(2, table);
  EXPECT_EQ(table.size(), 2U);
  EXPECT_NE(table[0], table[1]);
  EXPECT_EQ(blocks.num_used(), 2);
  EXPECT_FALSE(blocks.can_allocate(2));
  EXPECT_THROW(blocks.allocate(2, table), CheckFailure);
  blocks.release(table);
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(blocks.num_free(), 3);
  blocks.check_integrity();
}

TEST(BlockManager, CountsBlocksOfTokens) {
  const BlockManager blocks(1, 64);
  EXPECT_EQ(blocks.blocks_for(0), 0);
  EXPECT_EQ(blocks.blocks_for(1), 1);
  EXPECT_EQ(blocks.blocks_for(64), 1);
  EXPECT_EQ(blocks.blocks_for(65), 2);
}

TEST(BlockManager, HandsOutWhatWasFreedLast) {
  BlockManager blocks(100, 64);
  std::vector<std::int32_t> first;
  blocks.allocate(1, first);
  const std::int32_t block = first[0];
  for (int i = 0; i < 50; i++) {
    blocks.release(first);
    blocks.allocate(1, first);
    EXPECT_EQ(first[0], block);  // one sequence after the other touches one block, not fifty
  }
}

TEST(BlockManager, SharedBlockIsFreeAfterItsLastOwner) {
  BlockManager blocks(2, 64);
  std::vector<std::int32_t> one;
  blocks.allocate(1, one);
  blocks.retain(one[0]);
  std::vector<std::int32_t> two = one;
  blocks.release(one);
  EXPECT_EQ(blocks.num_used(), 1);
  blocks.check_integrity();
  blocks.release(two);
  EXPECT_EQ(blocks.num_used(), 0);
  blocks.check_integrity();
}

TEST(BlockManager, NoticesWhatIsReleasedTwice) {
  BlockManager blocks(2, 64);
  std::vector<std::int32_t> table;
  blocks.allocate(1, table);
  std::vector<std::int32_t> copy = table;
  blocks.release(table);
  EXPECT_THROW(blocks.release(copy), CheckFailure);
  copy = {0};
  EXPECT_THROW(blocks.retain(0), CheckFailure);
}

TEST(BlockManager, RandomLife) {
  std::mt19937 random(1);
  BlockManager blocks(40, 64);
  std::vector<std::vector<std::int32_t>> tables(12);
  for (int round = 0; round < 5000; round++) {
    auto& table = tables[random() % tables.size()];
    const auto count = static_cast<std::int32_t>(random() % 6);
    if (random() % 3 == 0) {
      blocks.release(table);
    } else if (blocks.can_allocate(count)) {
      blocks.allocate(count, table);
    }
    std::set<std::int32_t> owned;
    std::size_t total = 0;
    for (const auto& t : tables) {
      owned.insert(t.begin(), t.end());
      total += t.size();
    }
    ASSERT_EQ(owned.size(), total) << "a block has two owners";
    ASSERT_EQ(static_cast<std::size_t>(blocks.num_used()), total);
    blocks.check_integrity();
  }
}

}  // namespace
}  // namespace lmdeploy
