#include "tensor/allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/system_memory.h"

namespace lmdeploy {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

TEST(HostAllocator, EverySizeIsAlignedAndWritable) {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64},
                                  kHugePageBytes - 1, kHugePageBytes, kHugePageBytes + 1}) {
    const Allocation memory = host_allocator().allocate(bytes);
    ASSERT_NE(memory.data(), nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % 64, 0U) << bytes;
    EXPECT_EQ(memory.bytes(), bytes);
    std::memset(memory.data(), 0xab, bytes);
  }
}

TEST(HostAllocator, LargePiecesAreAddressSpaceUntilTouchedAndReadAsZero) {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  const std::uint64_t before = resident_memory_bytes();
  const Allocation memory = host_allocator().allocate(kBytes);
  EXPECT_LT(resident_memory_bytes(), before + kBytes / 16);
  EXPECT_EQ(static_cast<const char*>(memory.data())[kBytes - 1], 0);
}

TEST(HostAllocator, PagesAreMadeResidentAsTheyAre) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const Allocation memory = host_allocator().allocate(kBytes);
  auto* const bytes = static_cast<unsigned char*>(memory.data());
  bytes[5] = 7;
  const std::uint64_t before = resident_memory_bytes();
  if (!make_resident(bytes + 100, kBytes - 200))
    GTEST_SKIP() << "this kernel has no MADV_POPULATE_WRITE (5.14)";
  EXPECT_GT(resident_memory_bytes(), before + kBytes / 2);
  EXPECT_EQ(bytes[5], 7);
  EXPECT_EQ(bytes[kBytes - 1], 0);
}

TEST(HostAllocator, GivesMemoryBack) {
  constexpr std::size_t kBytes = std::size_t{128} << 20;
  const std::uint64_t before = resident_memory_bytes();
  {
    const Allocation memory = host_allocator().allocate(kBytes);
    std::memset(memory.data(), 1, kBytes);
    ASSERT_GT(resident_memory_bytes(), before + kBytes / 2);
  }
  EXPECT_LT(resident_memory_bytes(), before + kBytes / 2);
}

TEST(HostAllocator, MoreThanTheAddressSpaceIsAnError) {
  try {
    host_allocator().allocate(std::size_t{1} << 62);
    FAIL() << "allocated 4 EiB";
  } catch (const Error& error) {
    EXPECT_FALSE(error.remedy().empty());
  }
}

// Counts what it handed out, to see that an Allocation gives back exactly once.
class CountingAllocator final : public Allocator {
 public:
  Allocation allocate(std::size_t bytes) override {
    live_++;
    return {this, ::operator new(bytes), bytes};
  }
  int live() const { return live_; }

 private:
  void deallocate(void* data, std::size_t) noexcept override {
    live_--;
    ::operator delete(data);
  }
  int live_ = 0;
};

TEST(Allocation, GoesBackOnceHoweverItIsMoved) {
  CountingAllocator allocator;
  {
    Allocation first = allocator.allocate(8);
    Allocation second(std::move(first));
    Allocation third = allocator.allocate(8);
    third = std::move(second);
    Allocation nothing;
    EXPECT_EQ(nothing.data(), nullptr);
    EXPECT_GE(allocator.live(), 1);
  }
  EXPECT_EQ(allocator.live(), 0);
}

}  // namespace
}  // namespace lmdeploy
