#include "engine/bad_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<TokenId> banned(const BadWords& words) {
  std::vector<TokenId> ids;
  words.append_banned(ids);
  return ids;
}

TEST(BadWords, OfOneTokenAreAlwaysBanned) {
  BadWords words({{3}, {5}});
  EXPECT_THAT(banned(words), UnorderedElementsAre(3, 5));
  words.accept(1);
  EXPECT_THAT(banned(words), UnorderedElementsAre(3, 5));
}

TEST(BadWords, OfSeveralTokensAreBannedBehindTheirBeginning) {
  BadWords words({{1, 2, 3}, {2, 4}, {1, 1, 5}});
  EXPECT_THAT(banned(words), IsEmpty());
  words.accept(1);
  EXPECT_THAT(banned(words), IsEmpty());
  words.accept(2);
  EXPECT_THAT(banned(words), UnorderedElementsAre(3, 4));
  words.accept(9);
  EXPECT_THAT(banned(words), IsEmpty());
  for (int i = 0; i < 3; i++) words.accept(1);
  EXPECT_THAT(banned(words), UnorderedElementsAre(5));
}

TEST(BadWords, NoneBanNothing) {
  BadWords words({});
  words.accept(1);
  EXPECT_THAT(banned(words), IsEmpty());
}

}  // namespace
}  // namespace lmdeploy
