#include "server/response_store.h"

#include <gtest/gtest.h>

namespace lmdeploy {
namespace {

void keep(ResponseStore& store, const std::string& owner, const std::string& id, std::size_t num_bytes = 1) {
  store.begin(owner, id, "{}")->commit(std::string(num_bytes, 'x'), "[]");
}

TEST(ResponseStore, keeps_what_was_committed) {
  ResponseStore store({});
  auto place = store.begin("me", "a", "so far");
  EXPECT_EQ(store.find("me", "a")->object, "so far");
  EXPECT_FALSE(store.find("me", "a")->is_finished);
  place->commit("done", "said");
  place = nullptr;
  EXPECT_EQ(store.find("me", "a")->object, "done");
  EXPECT_EQ(store.find("me", "a")->messages, "said");
  EXPECT_TRUE(store.find("me", "a")->is_finished);
  EXPECT_FALSE(store.find("you", "a"));
  EXPECT_FALSE(store.erase("you", "a"));
}

TEST(ResponseStore, forgets_what_was_not_committed) {
  ResponseStore store({});
  store.begin("me", "a", "so far");
  EXPECT_FALSE(store.find("me", "a"));
  EXPECT_EQ(store.num_responses(), 0);
}

TEST(ResponseStore, one_erased_meanwhile_stays_so) {
  ResponseStore store({});
  const auto place = store.begin("me", "a", "so far");
  EXPECT_TRUE(store.erase("me", "a"));
  place->commit("done", "said");
  EXPECT_EQ(store.num_responses(), 0);
}

TEST(ResponseStore, drops_the_least_recently_used_beyond_its_count) {
  ResponseStore store({.max_responses = 3});
  for (const char* id : {"a", "b", "c"}) keep(store, "me", id);
  EXPECT_TRUE(store.find("me", "a"));
  keep(store, "me", "d");
  EXPECT_FALSE(store.find("me", "b"));
  for (const char* id : {"a", "c", "d"}) EXPECT_TRUE(store.find("me", id)) << id;
}

TEST(ResponseStore, is_bounded_in_bytes) {
  ResponseStore store({.max_bytes = 10'000});
  for (int i = 0; i < 100; ++i) keep(store, "me", std::to_string(i), 1'000);
  EXPECT_LE(store.num_responses(), 9);
  EXPECT_GE(store.num_responses(), 5);
  EXPECT_TRUE(store.find("me", "99"));
  keep(store, "me", "huge", 20'000);
  EXPECT_FALSE(store.find("me", "huge"));
}

TEST(ResponseStore, who_has_most_loses_first) {
  ResponseStore store({.max_bytes = 10'000});
  keep(store, "modest", "a", 1'000);
  for (int i = 0; i < 100; ++i) keep(store, "greedy", std::to_string(i), 1'000);
  EXPECT_TRUE(store.find("modest", "a"));
}

TEST(ResponseStore, what_is_being_made_stays) {
  ResponseStore store({.max_responses = 1});
  const auto a = store.begin("me", "a", "{}"), b = store.begin("me", "b", "{}");
  EXPECT_EQ(store.num_responses(), 2);
  a->commit("{}", "[]");
  EXPECT_FALSE(store.find("me", "a"));
  b->commit("{}", "[]");
  EXPECT_TRUE(store.find("me", "b"));
}

TEST(ResponseStore, of_none_keeps_none) {
  ResponseStore store({.max_responses = 0});
  keep(store, "me", "a");
  EXPECT_EQ(store.num_responses(), 0);
}

}  // namespace
}  // namespace lmdeploy
