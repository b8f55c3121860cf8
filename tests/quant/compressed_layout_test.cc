#include "quant/compressed_layout.h"

#include <gtest/gtest.h>

#include "quant/owned_rows.h"

namespace lmdeploy::testing {
namespace {

struct CompressedMemory {
  explicit CompressedMemory(const RowShape& shape, DType weight_dtype = DType::i32)
      : bits(shape.bits),
        weight(zeroed(weight_dtype, {shape.n, weight_dtype == DType::i8 ? shape.k : words(shape.k)})),
        scale(zeroed(DType::bf16, {shape.n, shape.k / shape.group_size})),
        zero_point(zeroed(DType::i32, {words(shape.n), shape.k / shape.group_size})) {}
  std::int64_t words(std::int64_t count) const { return (count * bits + 31) / 32; }
  CompressedTensors view() const { return {bits, weight, scale, zero_point}; }

  std::int32_t bits;
  Tensor weight, scale, zero_point;
};

constexpr RowShape kShapes[] = {{8, 8, 8},    {32, 64, 32},    {13, 40, 8},    {5, 19, 19},
                                {8, 8, 8, 8}, {32, 64, 32, 8}, {13, 40, 8, 8}, {5, 19, 19, 8}};

TEST(CompressedLayout, EveryNumberLiesWhereTheDefinitionSays) {
  for (const std::int32_t bits : {4, 8}) {
    const RowShape shape{10, 24, 8, bits};
    const OwnedRows rows = OwnedRows::random(shape, 1);
    const CompressedMemory memory(shape);
    pack_compressed(rows.view(), 0, memory.view());
    const std::int64_t per_word = 32 / bits;
    for (std::int64_t n = 0; n < shape.n; n++) {
      for (std::int64_t k = 0; k < shape.k; k++)
        ASSERT_EQ(bits_of(memory.weight.view().row<std::int32_t>(n)[k / per_word], k % per_word * bits, bits),
                  rows.view().q.row<std::uint8_t>(n)[k]);
      for (std::int64_t group = 0; group < 3; group++)
        ASSERT_EQ(bits_of(memory.zero_point.view().row<std::int32_t>(n / per_word)[group],
                          n % per_word * bits, bits),
                  rows.view().zeros.row<std::uint8_t>(n)[group]);
    }
  }
}

TEST(CompressedLayout, UnpacksWhatItPacked) {
  for (const RowShape& shape : kShapes)
    for (const DType weight_dtype : {DType::i32, DType::i8}) {
      if (shape.bits == 4 && weight_dtype == DType::i8) continue;
      const OwnedRows rows = OwnedRows::random(shape, 2);
      const CompressedMemory memory(shape, weight_dtype);
      pack_compressed(rows.view(), 0, memory.view());
      const OwnedRows back(shape);
      unpack_compressed(memory.view(), 0, back.rows(0, 3));
      unpack_compressed(memory.view(), 3, back.rows(3, shape.n - 3));
      EXPECT_EQ(back, rows) << shape.n << " x " << shape.k << ", " << shape.bits << " bits";
    }
}

TEST(CompressedLayout, BytesAreSigned) {
  const RowShape shape{1, 3, 3, 8};
  const CompressedMemory memory(shape, DType::i8);
  auto* weight = memory.weight.view().as<std::int8_t>();
  weight[0] = -128, weight[1] = 0, weight[2] = 127;
  const OwnedRows rows(shape);
  unpack_compressed({8, memory.weight, memory.scale, {}}, 0, rows.view());
  const auto* q = rows.view().q.as<std::uint8_t>();
  EXPECT_EQ(std::vector<int>(q, q + 3), (std::vector<int>{0, 128, 255}));
  EXPECT_EQ(*rows.view().zeros.as<std::uint8_t>(), 128);
}

// As versions before 0.9 wrote them.
TEST(CompressedLayout, ZerosMayBeBytes) {
  const RowShape shape{2, 8, 8, 4};
  const CompressedMemory memory(shape);
  const Tensor zeros = zeroed(DType::i8, {2, 1});
  zeros.view().as<std::int8_t>()[0] = -8, zeros.view().as<std::int8_t>()[1] = 7;
  const OwnedRows rows(shape);
  unpack_compressed({4, memory.weight, memory.scale, zeros}, 0, rows.view());
  EXPECT_EQ(*rows.view().zeros.row<std::uint8_t>(0), 0);
  EXPECT_EQ(*rows.view().zeros.row<std::uint8_t>(1), 15);
}

// One scale for the whole tensor is a view whose rows are all the same.
TEST(CompressedLayout, OneScaleMayServeAllRows) {
  const RowShape shape{3, 4, 4, 8};
  const CompressedMemory memory(shape, DType::i8);
  const Tensor scale = zeroed(DType::f32, {1});
  *scale.view().as<float>() = 0.5F;
  const OwnedRows rows(shape);
  unpack_compressed({8, memory.weight, View(scale.view().data, DType::f32, Shape{3, 1}, 0), {}}, 0,
                    rows.view());
  for (std::int64_t n = 0; n < 3; n++) EXPECT_EQ(*rows.view().scales.row<float>(n), 0.5F);
}

}  // namespace
}  // namespace lmdeploy::testing
