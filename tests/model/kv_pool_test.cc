#include "model/kv_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/system_memory.h"
#include "model/compute_context.h"

namespace lmdeploy {
namespace {

constexpr ops::KvLayout kLayout{DType::bf16, 8, 128, 64};  // InternLM2.5's, 256 KiB a block and layer

class KvPoolTest : public ::testing::Test {
 protected:
  ComputeContext compute_{Device::cpu, 1};
};

TEST_F(KvPoolTest, LayersDoNotOverlap) {
  const KvPool pool(compute_.ctx(), kLayout, 3, 5);
  EXPECT_EQ(pool.num_blocks(), 5);
  EXPECT_EQ(pool.block_len(), 64);
  const auto block = [&](int layer_idx, int block_idx) {
    const ops::KvLayer layer = pool.layer(layer_idx);
    EXPECT_EQ(layer.num_blocks, 5);
    return static_cast<char*>(layer.data) + block_idx * layer.block_stride;
  };
  for (int i = 0; i < 15; i++)
    std::memset(block(i / 5, i % 5), i + 1, static_cast<std::size_t>(kLayout.block_bytes()));
  for (int i = 0; i < 15; i++) {
    EXPECT_EQ(block(i / 5, i % 5)[0], i + 1);
    EXPECT_EQ(block(i / 5, i % 5)[kLayout.block_bytes() - 1], i + 1);
  }
  EXPECT_EQ(KvPool::block_bytes(kLayout, 3), 3 * kLayout.block_bytes());
}

// LMDeploy's bytes per token: codes, and a scale and a minimum of 16 bits for each head of K and of V.
TEST_F(KvPoolTest, CodesTakeTheBytesThatTheyShould) {
  const auto token_bytes = [](std::int32_t quant_bits, int num_layers) {
    ops::KvLayout layout = kLayout;
    layout.quant_bits = quant_bits;
    return KvPool::block_bytes(layout, num_layers) / 64;
  };
  EXPECT_EQ(token_bytes(0, 24), 98304);  // 1.8B
  EXPECT_EQ(token_bytes(8, 24), 50688);
  EXPECT_EQ(token_bytes(4, 24), 26112);
  EXPECT_EQ(token_bytes(0, 32), 131072);  // 7B
  EXPECT_EQ(token_bytes(8, 32), 67584);
  EXPECT_EQ(token_bytes(4, 32), 34816);
}

TEST_F(KvPoolTest, ALayerHasItsOwnCenters) {
  std::vector<float> centers(3 * 8 * 128);
  std::iota(centers.begin(), centers.end(), 0.F);
  const KvPool pool(compute_.ctx(), kLayout, 3, 1, centers);
  for (const int layer_idx : {0, 2}) {
    const float* own = pool.layer(layer_idx).key_centers;
    EXPECT_TRUE(std::equal(own, own + 8 * 128, centers.begin() + layer_idx * 8 * 128)) << layer_idx;
  }
  EXPECT_EQ(KvPool(compute_.ctx(), kLayout, 3, 1).layer(2).key_centers, nullptr);
  EXPECT_THROW(KvPool(compute_.ctx(), kLayout, 2, 1, centers), CheckFailure);
}

TEST_F(KvPoolTest, ReservesWithoutTouching) {
  const std::uint64_t before = resident_memory_bytes();
  const KvPool pool(compute_.ctx(), kLayout, 24, 4096);  // 24 GiB
  EXPECT_LT(resident_memory_bytes(), before + (std::uint64_t{64} << 20));
  const ops::KvLayer last = pool.layer(23);
  static_cast<char*>(last.data)[4095 * last.block_stride] = 1;
  EXPECT_LT(resident_memory_bytes(), before + (std::uint64_t{64} << 20));
}

TEST_F(KvPoolTest, PreparesMemoryOnceAndAsItIs) {
  KvPool pool(compute_.ctx(), kLayout, 3, 1000);  // 768 KiB a block
  const ops::KvLayer layer = pool.layer(0);
  auto* const block = static_cast<unsigned char*>(layer.data) + 700 * layer.block_stride;
  block[5] = 7;
  const std::uint64_t before = resident_memory_bytes();
  for (int i = 700; i < 764; i++) EXPECT_TRUE(pool.prepare(i));
  EXPECT_FALSE(pool.prepare(700));
  if (pool.prepared_end() == 0) GTEST_SKIP() << "this kernel has no MADV_POPULATE_WRITE (5.14)";
  EXPECT_EQ(pool.prepared_end(), 764);
  EXPECT_GT(resident_memory_bytes(), before + (std::uint64_t{40} << 20));
  EXPECT_LT(resident_memory_bytes(), before + (std::uint64_t{64} << 20));
  EXPECT_EQ(block[5], 7);
  EXPECT_EQ(block[layer.block_stride], 0);
}

TEST_F(KvPoolTest, RefusesLayersThatItDoesNotHave) {
  const KvPool pool(compute_.ctx(), kLayout, 2, 1);
  EXPECT_ANY_THROW(pool.layer(2));
  EXPECT_THROW(KvPool(compute_.ctx(), kLayout, 2, 0), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy
