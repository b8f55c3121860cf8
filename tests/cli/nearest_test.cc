#include "cli/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace lmdeploy::cli {
namespace {

TEST(EditDistance, CountsEachKindOfMistakeOnce) {
  EXPECT_EQ(edit_distance("serve", "serve"), 0U);
  EXPECT_EQ(edit_distance("serve", "sserve"), 1U);
  EXPECT_EQ(edit_distance("serve", "erve"), 1U);
  EXPECT_EQ(edit_distance("serve", "sarve"), 1U);
  EXPECT_EQ(edit_distance("serve", "sreve"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Nearest, FindsTypingErrorsAndShortenedNames) {
  const std::vector<std::string> options{"--tp", "--top-p", "--top-k", "--session-len",
                                         "--cache-max-entry-count"};
  EXPECT_EQ(nearest("--sesion-len", options), "--session-len");
  EXPECT_EQ(nearest("--cache-max", options), "--cache-max-entry-count");
  EXPECT_EQ(nearest("--topp", options), "--top-p");
  EXPECT_EQ(nearest("--something-else", options), "");
}

}  // namespace
}  // namespace lmdeploy::cli
