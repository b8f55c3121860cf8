#include "tensor/counting_allocator.h"

#include <gtest/gtest.h>

#include "tensor/tensor.h"

namespace lmdeploy {
namespace {

TEST(CountingAllocator, CountsWhatIsHeld) {
  CountingAllocator allocator(host_allocator());
  EXPECT_EQ(allocator.held_bytes(), 0);
  Tensor kept(allocator, DType::f32, {3, 5});
  EXPECT_EQ(allocator.held_bytes(), 60);
  {
    const Tensor large(allocator, DType::u8, {5 << 20});
    EXPECT_EQ(allocator.held_bytes(), 60 + (5 << 20));
  }
  EXPECT_EQ(allocator.held_bytes(), 60);
  kept = Tensor(allocator, DType::u8, {7});
  EXPECT_EQ(allocator.held_bytes(), 7);
}

TEST(CountingAllocator, LargePiecesFillPages) {
  constexpr std::int64_t kPage = 4096;
  CountingAllocator allocator(host_allocator(), kPage);
  {
    const Tensor small(allocator, DType::u8, {kPage / 2 - 1});
    EXPECT_EQ(allocator.held_bytes(), kPage / 2 - 1);
    const Tensor half(allocator, DType::u8, {kPage / 2}), whole(allocator, DType::u8, {kPage}),
        more(allocator, DType::u8, {kPage + 1});
    EXPECT_EQ(allocator.held_bytes(), kPage / 2 - 1 + 4 * kPage);
  }
  EXPECT_EQ(allocator.held_bytes(), 0);
}

TEST(CountingAllocator, ItsMemoryIsTheSources) {
  CountingAllocator allocator(host_allocator());
  const Tensor tensor(allocator, DType::u8, {1000});
  auto* bytes = tensor.view().as<std::uint8_t>();
  for (int i = 0; i < 1000; i++) bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(bytes[999], 999 % 256);
}

}  // namespace
}  // namespace lmdeploy
