#include "engine/block_index.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace lmdeploy {
namespace {

using Tokens = std::vector<TokenId>;

TEST(BlockIndex, FindsByAllThatCameBefore) {
  BlockIndex index(8, 2, {1, 2});
  const Tokens ab = {1, 2};
  const Tokens cd = {3, 4};
  index.insert(5, {-1, "", ab});
  index.insert(6, {5, "", ab});
  index.insert(7, {6, "", cd});
  EXPECT_EQ(index.find({-1, "", ab}), 5);
  EXPECT_EQ(index.find({5, "", ab}), 6);
  EXPECT_EQ(index.find({6, "", cd}), 7);
  EXPECT_EQ(index.find({6, "", ab}), -1);
  EXPECT_EQ(index.find({-1, "", cd}), -1);
  EXPECT_EQ(index.find({5, "", cd}), -1);
}

TEST(BlockIndex, SaltsAreApart) {
  BlockIndex index(8, 2, {1, 2});
  const Tokens ab = {1, 2};
  index.insert(0, {-1, "anna", ab});
  EXPECT_EQ(index.find({-1, "anna", ab}), 0);
  for (const char* other : {"", "bert", "ann", "anna ", "annaanna"})
    EXPECT_EQ(index.find({-1, other, ab}), -1);
  index.insert(1, {-1, "bert", ab});
  EXPECT_EQ(index.find({-1, "bert", ab}), 1);
  EXPECT_EQ(index.find({0, "anna", ab}), -1);
}

TEST(BlockIndex, ErasedIsNotFound) {
  BlockIndex index(8, 2, {1, 2});
  const Tokens ab = {1, 2};
  index.insert(3, {-1, "", ab});
  index.erase(3);
  EXPECT_FALSE(index.contains(3));
  EXPECT_EQ(index.find({-1, "", ab}), -1);
  index.insert(4, {-1, "", ab});
  EXPECT_EQ(index.find({-1, "", ab}), 4);
  index.clear();
  EXPECT_EQ(index.find({-1, "", ab}), -1);
}

TEST(BlockIndex, NoticesOurBugs) {
  BlockIndex index(8, 2, {1, 2});
  const Tokens ab = {1, 2};
  const Tokens cd = {3, 4};
  index.insert(0, {-1, "", ab});
  EXPECT_THROW(index.insert(0, {-1, "", cd}), CheckFailure) << "a block with two contents";
  EXPECT_THROW(index.insert(1, {-1, "", ab}), CheckFailure) << "a content with two blocks";
  EXPECT_THROW(index.insert(1, {2, "", ab}), CheckFailure) << "a parent that nobody knows";
  EXPECT_THROW(index.erase(1), CheckFailure);
  EXPECT_THROW((void)index.find({-1, "", Tokens{1}}), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy
