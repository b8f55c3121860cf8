#include "model/kv_pool.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/system_memory.h"

namespace lmdeploy {
namespace {

constexpr ops::KvLayout kLayout{DType::bf16, 8, 128, 64};  // InternLM2.5's, 256 KiB a block and layer

TEST(KvPool, LayersDoNotOverlap) {
  const KvPool pool(host_allocator(), kLayout, 3, 5);
  EXPECT_EQ(pool.num_blocks(), 5);
  EXPECT_EQ(pool.block_len(), 64);
  for (int i = 0; i < 3; i++)
    std::memset(pool.layer(i).data, i + 1, static_cast<std::size_t>(5 * kLayout.block_bytes()));
  for (int i = 0; i < 3; i++) {
    const ops::KvLayer layer = pool.layer(i);
    EXPECT_EQ(layer.num_blocks, 5);
    EXPECT_EQ(static_cast<const char*>(layer.data)[0], i + 1);
    EXPECT_EQ(static_cast<const char*>(layer.data)[5 * kLayout.block_bytes() - 1], i + 1);
  }
  EXPECT_EQ(KvPool::block_bytes(kLayout, 3), 3 * kLayout.block_bytes());
}

TEST(KvPool, ReservesWithoutTouching) {
  const std::uint64_t before = resident_memory_bytes();
  const KvPool pool(host_allocator(), kLayout, 24, 4096);  // 24 GiB
  EXPECT_LT(resident_memory_bytes(), before + (std::uint64_t{64} << 20));
  static_cast<char*>(pool.layer(23).data)[4095 * kLayout.block_bytes()] = 1;
  EXPECT_LT(resident_memory_bytes(), before + (std::uint64_t{64} << 20));
}

TEST(KvPool, RefusesLayersThatItDoesNotHave) {
  const KvPool pool(host_allocator(), kLayout, 2, 1);
  EXPECT_ANY_THROW(pool.layer(2));
  EXPECT_THROW(KvPool(host_allocator(), kLayout, 2, 0), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy
