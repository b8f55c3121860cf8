#include "convert/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "convert/byte_alphabet.h"

namespace lmdeploy::convert {
namespace {

using ::testing::ElementsAre;

TEST(Unicode, KnowsUtf8ByTheLetter) {
  for (const char* good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xe2\x96\x81z"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z", "\xe0\x80\x80",
                          "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x96", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xff", "a\xf0\x90\x80"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Unicode, FindsWhereCharactersBegin) {
  EXPECT_THAT(character_starts(""), ElementsAre());
  EXPECT_THAT(character_starts("a\xe2\x96\x81\xc3\xa9z"), ElementsAre(0, 1, 4, 6));
}

TEST(ByteAlphabet, IsGpt2s) {
  const auto alphabet = byte_alphabet();
  EXPECT_EQ(std::set<std::string>(alphabet.begin(), alphabet.end()).size(), 256U);
  EXPECT_EQ(alphabet['a'], "a");
  EXPECT_EQ(alphabet[' '], "\u0120");
  EXPECT_EQ(alphabet['\n'], "\u010a");
  EXPECT_EQ(alphabet[0], "\u0100");
  EXPECT_EQ(alphabet[0xe9], "\u00e9");
  EXPECT_EQ(alphabet[0xad], "\u0143");
}

}  // namespace
}  // namespace lmdeploy::convert
