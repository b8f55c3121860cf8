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

TEST(BlockManager, KnowsWhatItNeverHandedOut) {
  BlockManager blocks(10, 64);
  std::vector<std::int32_t> first, second;
  EXPECT_EQ(blocks.high_water(), 0);
  blocks.allocate(3, first);
  EXPECT_EQ(blocks.high_water(), 3);
  blocks.release(first);
  blocks.allocate(2, second);
  EXPECT_EQ(blocks.high_water(), 3);
  blocks.allocate(4, first);
  EXPECT_EQ(blocks.high_water(), 6);
  blocks.reset();
  EXPECT_EQ(blocks.high_water(), 6);
  for (const std::int32_t block : first) EXPECT_LT(block, 6);
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

using Tokens = std::vector<TokenId>;

// A chain of blocks with contents, released: all of it is cached.
Tokens cache_chain(BlockManager& blocks, std::int32_t len, TokenId token) {
  std::vector<std::int32_t> table;
  blocks.allocate(len, table);
  std::int32_t parent = -1;
  for (const std::int32_t block : table) {
    blocks.set_content(block, {parent, "", Tokens(2, token)});
    parent = block;
  }
  const Tokens chain = table;
  blocks.release(table);
  return chain;
}

TEST(BlockManager, CachedBlocksAreAvailableAndGoLast) {
  BlockManager blocks(5, 2);
  const auto chain = cache_chain(blocks, 3, 7);
  EXPECT_EQ(blocks.num_free(), 2);
  EXPECT_EQ(blocks.num_cached(), 3);
  EXPECT_EQ(blocks.num_used(), 0);
  EXPECT_TRUE(blocks.can_allocate(5));
  std::vector<std::int32_t> table;
  blocks.allocate(2, table);
  EXPECT_EQ(blocks.num_cached(), 3);
  blocks.allocate(1, table);
  EXPECT_EQ(table[2], chain[2]) << "the end of a chain goes before its beginning";
  EXPECT_EQ(blocks.find({-1, "", Tokens(2, 7)}), chain[0]);
  EXPECT_EQ(blocks.find({chain[1], "", Tokens(2, 7)}), -1);
  blocks.check_integrity();
}

TEST(BlockManager, LeastRecentlyUsedIsEvictedFirst) {
  BlockManager blocks(4, 2);
  const auto older = cache_chain(blocks, 2, 1);
  const auto newer = cache_chain(blocks, 2, 2);
  std::vector<std::int32_t> used = {older[0]};
  blocks.retain(older[0]);
  blocks.check_integrity();
  blocks.release(used);
  std::vector<std::int32_t> table;
  blocks.allocate(3, table);
  EXPECT_EQ(table, (std::vector<std::int32_t>{older[1], newer[1], newer[0]}));
  EXPECT_TRUE(blocks.has_content(older[0]));
  blocks.check_integrity();
}

TEST(BlockManager, CachedBlockInUseIsNotEvicted) {
  BlockManager blocks(3, 2);
  const auto chain = cache_chain(blocks, 3, 1);
  blocks.retain(chain[0]);
  EXPECT_EQ(blocks.num_used(), 1);
  EXPECT_FALSE(blocks.can_allocate(3));
  std::vector<std::int32_t> table;
  blocks.allocate(2, table);
  EXPECT_EQ(table, (std::vector<std::int32_t>{chain[2], chain[1]}));
  EXPECT_THROW(blocks.allocate(1, table), CheckFailure);
}

TEST(BlockManager, ErasedContentIsFreeAfterwards) {
  BlockManager blocks(2, 2);
  std::vector<std::int32_t> table;
  blocks.allocate(1, table);
  blocks.set_content(table[0], {-1, "", Tokens(2, 1)});
  blocks.erase_content(table[0]);
  blocks.release(table);
  EXPECT_EQ(blocks.num_free(), 2);
  EXPECT_EQ(blocks.num_cached(), 0);
}

TEST(BlockManager, ResetForgetsContents) {
  BlockManager blocks(3, 2);
  cache_chain(blocks, 2, 1);
  blocks.reset();
  EXPECT_EQ(blocks.num_free(), 3);
  EXPECT_EQ(blocks.find({-1, "", Tokens(2, 1)}), -1);
  blocks.check_integrity();
}

TEST(BlockManager, NoticesAParentThatWouldGoBeforeItsChild) {
  BlockManager blocks(3, 2);
  std::vector<std::int32_t> table;
  blocks.allocate(2, table);
  blocks.set_content(table[0], {-1, "", Tokens(2, 1)});
  blocks.set_content(table[1], {table[0], "", Tokens(2, 1)});
  blocks.release(table[0]);
  EXPECT_THROW(blocks.check_integrity(), CheckFailure);
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
