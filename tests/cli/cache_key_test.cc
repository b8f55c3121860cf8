#include "cli/cache_key.h"

#include <gtest/gtest.h>

namespace lmdeploy::cli {
namespace {

TEST(CacheKey, IsReadableStableAndDiffersWithTheIdentity) {
  EXPECT_EQ(cache_key("model", ""), "model-cbf29ce484222325");   // FNV-1a's offset basis
  EXPECT_EQ(cache_key("model", "a"), "model-af63dc4c8601ec8c");  // published test vector
  EXPECT_NE(cache_key("model", "a"), cache_key("model", "b"));
}

}  // namespace
}  // namespace lmdeploy::cli
