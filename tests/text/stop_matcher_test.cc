#include "text/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace lmdeploy {
namespace {

struct Found {
  std::size_t end = std::string::npos;
  std::size_t len = 0;
  bool operator==(const Found&) const = default;
};

// The stop that is complete first, the longest of several, by looking at every end of the text.
Found naive(std::string_view text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    Found found;
    for (const std::string& stop : stops)
      if (text.substr(0, end).ends_with(stop)) found = {end, std::max(found.len, stop.size())};
    if (found.len > 0) return found;
  }
  return {};
}

std::size_t naive_held(std::string_view text, const std::vector<std::string>& stops) {
  for (std::size_t len = text.size(); len > 0; --len)
    for (const std::string& stop : stops)
      if (len < stop.size() && stop.starts_with(text.substr(text.size() - len))) return len;
  return 0;
}

class StopMatcherTest : public ::testing::Test {
 protected:
  std::size_t below(std::size_t limit) { return random_() % limit; }
  std::string random_text(std::size_t len) {
    std::string text;
    for (std::size_t i = 0; i < len; ++i) text += static_cast<char>('a' + below(3));
    return text;
  }
  std::mt19937 random_{11};
};

TEST_F(StopMatcherTest, FindsWhatALookAtEveryEndFinds) {
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops;
    for (std::size_t i = below(5); i > 0; --i) stops.push_back(random_text(1 + below(6)));
    const std::string text = random_text(below(40));
    StopMatcher matcher(stops);
    Found found;
    for (std::size_t at = 0; at < text.size();) {
      const std::string_view piece = std::string_view(text).substr(at, below(7));
      if (const auto match = matcher.feed(piece)) found = {at + match->end, match->stop_len};
      at += piece.size();
      if (found != Found{}) break;
      ASSERT_EQ(matcher.held_len(), naive_held(text.substr(0, at), stops)) << text << round;
    }
    ASSERT_EQ(found, naive(text, stops)) << text;
  }
}

TEST_F(StopMatcherTest, AStopWithinAnotherEndsTheTextFirst) {
  const std::vector<std::string> stops{"abcd", "bc"};
  StopMatcher matcher(stops);
  const auto match = matcher.feed("xabcd");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->end, 4U);
  EXPECT_EQ(match->stop_len, 2U);
}

TEST_F(StopMatcherTest, IsLinearInTheText) {
  // Each byte begins, and almost completes, every stop: looking at all of them would take hours.
  std::vector<std::string> stops;
  for (char last = 'b'; last < 'r'; ++last) stops.push_back(std::string(255, 'a') + last);
  StopMatcher matcher(stops);
  const std::string text(4'000'000, 'a');
  EXPECT_FALSE(matcher.feed(text));
  EXPECT_EQ(matcher.held_len(), 255U);
}

}  // namespace
}  // namespace lmdeploy
