#include "cli/answer_stats.h"

#include <gtest/gtest.h>

namespace lmdeploy::cli {
namespace {

TEST(AnswerStats, SpeedIsThatOfTheTokensAfterTheFirst) {
  EXPECT_EQ(answer_stats({11, 30, 20}, 0.25, 2.0),
            "11 tokens, 5.0 tokens/s, time to first token 0.250 s, 30 prompt tokens, 20 cached tokens");
}

TEST(AnswerStats, WhatIsNotKnownIsNotMadeUp) {
  EXPECT_EQ(answer_stats({1, 30, 0}, 0.25, 0.0),
            "1 token, time to first token 0.250 s, 30 prompt tokens, 0 cached tokens");
  EXPECT_EQ(answer_stats({9, 30, {}}, {}, 0.0), "9 tokens, 30 prompt tokens");
  EXPECT_EQ(answer_stats({}, 0.25, 1.0),
            "time to first token 0.250 s, tokens unknown: the server sent no counts");
}

TEST(AnswerClock, HasNoTimesBeforeTheFirstText) {
  AnswerClock clock;
  EXPECT_FALSE(clock.first());
  EXPECT_EQ(clock.spread(), 0);
  clock.on_text();
  EXPECT_GE(clock.first().value(), 0);
  EXPECT_EQ(clock.spread(), 0);
  clock.on_text();
  EXPECT_GT(clock.spread(), 0);
}

}  // namespace
}  // namespace lmdeploy::cli
