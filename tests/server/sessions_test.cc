#include "server/sessions.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

using namespace std::chrono_literals;
using Json = Sessions::Json;

const Sessions::Clock::time_point kStart{};

Json messages(const std::string& content) {
  return Json::array({{{"role", "user"}, {"content", content}}});
}

std::unique_ptr<Sessions::Turn> turn_of(Sessions& sessions, const Sessions::Key& key,
                                        Sessions::Clock::time_point now = kStart) {
  auto begun = sessions.begin(key, now);
  auto* turn = std::get_if<std::unique_ptr<Sessions::Turn>>(&begun);
  return turn == nullptr ? nullptr : std::move(*turn);
}

Sessions::Refusal refusal_of(Sessions& sessions, const Sessions::Key& key) {
  return std::get<Sessions::Refusal>(sessions.begin(key, kStart));
}

void say(Sessions& sessions, const Sessions::Key& key, const std::string& content,
         Sessions::Clock::time_point now = kStart) {
  turn_of(sessions, key, now)->commit(messages(content), 5, now);
}

TEST(Sessions, keep_what_was_committed) {
  Sessions sessions({});
  say(sessions, {"a", 1}, "x");
  const auto turn = turn_of(sessions, {"a", 1});
  EXPECT_EQ(turn->messages(), messages("x"));
  EXPECT_EQ(turn->num_history_tokens(), 5);
  EXPECT_TRUE(turn_of(sessions, {"b", 1})->messages().empty());
}

TEST(Sessions, a_turn_that_fails_leaves_no_trace) {
  Sessions sessions({});
  EXPECT_NE(turn_of(sessions, {"a", 1}), nullptr);
  EXPECT_EQ(sessions.num_sessions(), 0);
  say(sessions, {"a", 1}, "x");
  turn_of(sessions, {"a", 1});
  EXPECT_EQ(turn_of(sessions, {"a", 1})->messages(), messages("x"));
}

TEST(Sessions, have_one_turn_at_a_time) {
  Sessions sessions({});
  const auto turn = turn_of(sessions, {"a", 1});
  EXPECT_EQ(refusal_of(sessions, {"a", 1}), Sessions::Refusal::busy);
  EXPECT_NE(turn_of(sessions, {"b", 1}), nullptr);
}

TEST(Sessions, end_on_request_and_the_old_turn_does_not_touch_the_new_one) {
  Sessions sessions({});
  say(sessions, {"a", 1}, "x");
  auto old_turn = turn_of(sessions, {"a", 1});
  old_turn->end();
  const auto new_turn = turn_of(sessions, {"a", 1});
  EXPECT_TRUE(new_turn->messages().empty());
  old_turn.reset();
  EXPECT_EQ(refusal_of(sessions, {"a", 1}), Sessions::Refusal::busy);
}

TEST(Sessions, end_when_nobody_asks) {
  Sessions sessions({.idle_timeout = 10s});
  say(sessions, {"a", 1}, "x");
  const auto busy = turn_of(sessions, {"a", 2});
  EXPECT_FALSE(turn_of(sessions, {"a", 1}, kStart + 9s)->messages().empty());
  EXPECT_TRUE(turn_of(sessions, {"a", 1}, kStart + 19s)->messages().empty());
  EXPECT_EQ(refusal_of(sessions, {"a", 2}), Sessions::Refusal::busy);
}

TEST(Sessions, the_owners_oldest_makes_room_and_never_anothers) {
  Sessions sessions({.max_sessions = 3});
  say(sessions, {"a", 1}, "x", kStart + 1s);
  say(sessions, {"a", 2}, "x", kStart + 2s);
  say(sessions, {"b", 1}, "x", kStart);
  EXPECT_EQ(refusal_of(sessions, {"c", 1}), Sessions::Refusal::full);
  say(sessions, {"a", 3}, "x", kStart + 3s);
  EXPECT_EQ(sessions.num_sessions(), 3);
  EXPECT_FALSE(turn_of(sessions, {"a", 2})->messages().empty());
  EXPECT_FALSE(turn_of(sessions, {"b", 1})->messages().empty());
}

TEST(Sessions, have_a_bound_in_bytes) {
  Sessions sessions({.max_bytes = 300});
  say(sessions, {"b", 1}, std::string(50, 'b'), kStart);
  say(sessions, {"a", 1}, std::string(100, 'x'), kStart + 1s);
  say(sessions, {"a", 2}, std::string(100, 'y'), kStart + 2s);
  EXPECT_TRUE(turn_of(sessions, {"a", 1})->messages().empty());
  EXPECT_FALSE(turn_of(sessions, {"a", 2})->messages().empty());
  say(sessions, {"a", 3}, std::string(400, 'z'), kStart + 3s);
  EXPECT_TRUE(turn_of(sessions, {"a", 3})->messages().empty());
  EXPECT_FALSE(turn_of(sessions, {"b", 1})->messages().empty());
}

}  // namespace
}  // namespace lmdeploy
