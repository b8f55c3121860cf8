#include "tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace lmdeploy {
namespace {

std::vector<float> counting(std::size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

TEST(Shape, KnowsItsDimensions) {
  const Shape shape{2, 3, 5};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape[0], 2);
  EXPECT_EQ(shape[2], 5);
  EXPECT_EQ(shape.num_elements(), 30);
  EXPECT_EQ(shape.to_string(), "[2, 3, 5]");
}

TEST(Shape, EmptyAndScalar) {
  EXPECT_EQ((Shape{0, 7}.num_elements()), 0);
  EXPECT_EQ(Shape{}.num_elements(), 1);
  EXPECT_EQ(Shape{}.to_string(), "[]");
}

TEST(Shape, EqualityCountsTheRank) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 0}));
}

TEST(Shape, RefusesWhatNoTensorHas) {
  EXPECT_THROW((Shape{-1}), CheckFailure);
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), CheckFailure);
  constexpr std::int64_t kLarge = std::int64_t{1} << 40;
  EXPECT_THROW((Shape{kLarge, kLarge}), CheckFailure);
}

TEST(View, ContiguousRows) {
  auto data = counting(12);
  const View view(data.data(), DType::f32, {3, 4});
  EXPECT_EQ(view.row_stride, 4);
  EXPECT_TRUE(view.contiguous());
  EXPECT_EQ(view.bytes(), 48);
  EXPECT_EQ(view.row<float>(2)[1], 9.0F);
}

TEST(View, RowsAreASliceOfTheFirstDimension) {
  auto data = counting(24);
  const View view(data.data(), DType::f32, {4, 3, 2});
  const View slice = view.rows(1, 2);
  EXPECT_EQ(slice.shape, (Shape{2, 3, 2}));
  EXPECT_EQ(slice.as<float>()[0], 6.0F);
  EXPECT_EQ(slice.row<float>(1)[0], 12.0F);
  EXPECT_TRUE(slice.contiguous());
  EXPECT_EQ(view.rows(4, 0).shape, (Shape{0, 3, 2}));
  EXPECT_EQ((View(data.data(), DType::f32, {24}).rows(5, 2).as<float>()[0]), 5.0F);
  EXPECT_EQ((View(data.data(), DType::f32, {2, 3, 2, 2}).rows(1, 1).as<float>()[0]), 12.0F);
}

TEST(View, ColumnsKeepTheStride) {
  auto data = counting(12);
  const View columns = View(data.data(), DType::f32, {3, 4}).columns(1, 2);
  EXPECT_EQ(columns.shape, (Shape{3, 2}));
  EXPECT_FALSE(columns.contiguous());
  EXPECT_EQ(columns.bytes(), 24);
  EXPECT_EQ(columns.row<float>(0)[0], 1.0F);
  EXPECT_EQ(columns.row<float>(2)[1], 10.0F);
  EXPECT_EQ(columns.rows(1, 2).row<float>(1)[0], 9.0F);
  EXPECT_TRUE(columns.rows(1, 1).contiguous());
}

TEST(View, SlicesOutsideAreBugs) {
  auto data = counting(12);
  const View view(data.data(), DType::f32, {3, 4});
  EXPECT_THROW(view.rows(2, 2), CheckFailure);
  EXPECT_THROW(view.rows(-1, 1), CheckFailure);
  EXPECT_THROW(view.rows(0, -1), CheckFailure);
  EXPECT_THROW(view.columns(3, 2), CheckFailure);
  EXPECT_THROW(View(data.data(), DType::f32, {12}).columns(0, 1), CheckFailure);
  EXPECT_THROW(View(data.data(), DType::f32, {}).rows(0, 0), CheckFailure);
}

TEST(View, AsRefusesAnotherType) {
  auto data = counting(2);
  const View view(data.data(), DType::f32, {2});
  EXPECT_NO_THROW(view.as<float>());
  EXPECT_THROW(view.as<bf16_t>(), CheckFailure);
  EXPECT_THROW(view.as<std::int32_t>(), CheckFailure);
}

TEST(Tensor, OwnsAlignedMemoryOfItsShape) {
  const Tensor tensor(host_allocator(), DType::bf16, {7, 9});
  EXPECT_FALSE(tensor.empty());
  EXPECT_EQ(tensor.view().bytes(), 126);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.view().data) % 64, 0U);
  EXPECT_EQ(tensor.dtype(), DType::bf16);
}

TEST(Tensor, MovingLeavesAnEmptyOne) {
  Tensor first(host_allocator(), DType::f32, {4});
  void* data = first.view().data;
  Tensor second(std::move(first));
  EXPECT_EQ(second.view().data, data);
  EXPECT_TRUE(first.empty());  // NOLINT: what a moved-from tensor says is the test
  Tensor third;
  EXPECT_TRUE(third.empty());
  third = std::move(second);
  EXPECT_EQ(third.view().data, data);
  EXPECT_EQ(third.shape(), (Shape{4}));
  EXPECT_TRUE(second.empty());  // NOLINT
}

}  // namespace
}  // namespace lmdeploy
