#include "tensor/workspace.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace lmdeploy {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

TEST(Workspace, PiecesAreAlignedAndApart) {
  Workspace workspace(host_allocator());
  const Workspace::Scope scope(workspace);
  const View a = workspace.take(DType::u8, {3});
  const View b = workspace.take(DType::f32, {5, 7});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data) % 64, 0U);
  EXPECT_GE(static_cast<char*>(b.data) - static_cast<char*>(a.data), 64);
  EXPECT_EQ(b.shape, (Shape{5, 7}));
  EXPECT_EQ(b.dtype, DType::f32);
}

TEST(Workspace, AScopeGivesBackWhatWasTakenInIt) {
  Workspace workspace(host_allocator());
  const Workspace::Scope outer(workspace);
  const View kept = workspace.take(DType::u8, {100});
  void* first = nullptr;
  {
    const Workspace::Scope inner(workspace);
    first = workspace.take(DType::u8, {100}).data;
  }
  EXPECT_EQ(workspace.take(DType::u8, {100}).data, first);
  EXPECT_NE(kept.data, first);
}

TEST(Workspace, GrowsToTheLargestStepAndStaysThere) {
  Workspace workspace(host_allocator());
  EXPECT_EQ(workspace.reserved_bytes(), 0U);
  const auto step = [&] {
    const Workspace::Scope scope(workspace);
    workspace.take(DType::u8, {3 * kMiB});
    workspace.take(DType::u8, {9 * kMiB});
    workspace.take(DType::u8, {1 * kMiB});
  };
  step();
  const std::size_t reserved = workspace.reserved_bytes();
  EXPECT_GE(reserved, static_cast<std::size_t>(13 * kMiB));
  for (int i = 0; i < 100; i++) step();
  EXPECT_EQ(workspace.reserved_bytes(), reserved);
}

TEST(Workspace, WhatIsKnownBeforehandIsOnePiece) {
  const auto step = [](Workspace& workspace) {
    const Workspace::Scope scope(workspace);
    workspace.take(DType::u8, {3 * kMiB + 1});
    {
      const Workspace::Scope inner(workspace);
      workspace.take(DType::u8, {9 * kMiB});
    }
    workspace.take(DType::u8, {kMiB});
  };
  Workspace measured(host_allocator(), 64 * kMiB);
  step(measured);
  EXPECT_EQ(measured.peak_bytes(), static_cast<std::size_t>(12 * kMiB + 64));

  Workspace workspace(host_allocator(), measured.peak_bytes());
  EXPECT_EQ(workspace.reserved_bytes(), measured.peak_bytes());
  for (int i = 0; i < 3; i++) step(workspace);
  EXPECT_EQ(workspace.reserved_bytes(), measured.peak_bytes());
  EXPECT_EQ(workspace.peak_bytes(), measured.peak_bytes());
}

// As logits do that have a row more in every step.
TEST(Workspace, WhatGrowsLittleByLittleDoesNotAddUp) {
  Workspace workspace(host_allocator());
  for (std::int64_t num_rows = 1; num_rows <= 128; num_rows++) {
    const Workspace::Scope scope(workspace);
    workspace.take(DType::u8, {num_rows, kMiB});
  }
  EXPECT_LE(workspace.reserved_bytes(), 4U * 128 * kMiB);
}

TEST(Workspace, GrowingKeepsEarlierPiecesInPlace) {
  Workspace workspace(host_allocator());
  const Workspace::Scope scope(workspace);
  const View small = workspace.take(DType::i32, {4});
  small.as<std::int32_t>()[3] = 42;
  for (int i = 0; i < 20; i++) workspace.take(DType::u8, {5 * kMiB});
  EXPECT_EQ(small.as<std::int32_t>()[3], 42);
}

TEST(Workspace, AnEmptyPieceIsFine) {
  Workspace workspace(host_allocator());
  const Workspace::Scope scope(workspace);
  EXPECT_EQ(workspace.take(DType::f32, {0, 64}).bytes(), 0);
}

// Nested scopes and sizes at random: pieces that live at once never share a byte.
TEST(Workspace, LivePiecesNeverOverlap) {
  std::mt19937 random(11);
  Workspace workspace(host_allocator());
  const auto fill = [&](auto& self, int depth) -> void {
    const Workspace::Scope scope(workspace);
    std::vector<View> views;
    for (int i = 0; i < 4; i++) {
      const auto size = static_cast<std::int64_t>(random() % static_cast<unsigned>(2 * kMiB));
      views.push_back(workspace.take(DType::u8, {size + 1}));
      const auto mark = static_cast<std::uint8_t>(depth * 16 + i);
      views.back().as<std::uint8_t>()[0] = mark;
      views.back().as<std::uint8_t>()[size] = mark;
      if (depth < 3) self(self, depth + 1);
    }
    for (int i = 0; i < 4; i++) {
      const View& view = views[static_cast<std::size_t>(i)];
      ASSERT_EQ(view.as<std::uint8_t>()[0], depth * 16 + i);
      ASSERT_EQ(view.as<std::uint8_t>()[view.dim(0) - 1], depth * 16 + i);
    }
  };
  fill(fill, 0);
}

}  // namespace
}  // namespace lmdeploy
