#include "quant/awq_layout.h"

#include <gtest/gtest.h>

#include "quant/owned_rows.h"

namespace lmdeploy::testing {
namespace {

constexpr RowShape kShapes[] = {{8, 8, 8}, {16, 64, 32}, {24, 36, 36}, {72, 128, 64}, {136, 7, 1}};

struct AwqMemory {
  explicit AwqMemory(const RowShape& shape, DType scale_dtype = DType::f16)
      : qweight(zeroed(DType::i32, {shape.k, shape.n / 8})),
        scales(zeroed(scale_dtype, {shape.k / shape.group_size, shape.n})),
        qzeros(zeroed(DType::i32, {shape.k / shape.group_size, shape.n / 8})) {}
  AwqTensors view() const { return {qweight, scales, qzeros}; }

  Tensor qweight, scales, qzeros;
};

// Where output j of a word column lies, by the definition: nibble i is output (0, 2, 4, 6, 1, 3, 5, 7)[i].
std::int64_t nibble_of(std::int64_t output) {
  const std::int64_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};
  return std::find(std::begin(order), std::end(order), output % 8) - std::begin(order);
}

TEST(AwqLayout, EveryNumberLiesWhereTheDefinitionSays) {
  const RowShape shape{24, 36, 12};
  const OwnedRows rows = OwnedRows::random(shape, 1);
  const AwqMemory memory(shape);
  pack_awq(rows.view(), 0, memory.view());
  for (std::int64_t n = 0; n < shape.n; n++) {
    for (std::int64_t k = 0; k < shape.k; k++)
      ASSERT_EQ(bits_of(memory.qweight.view().row<std::int32_t>(k)[n / 8], 4 * nibble_of(n), 4),
                rows.view().q.row<std::uint8_t>(n)[k]);
    for (std::int64_t group = 0; group < 3; group++) {
      ASSERT_EQ(bits_of(memory.qzeros.view().row<std::int32_t>(group)[n / 8], 4 * nibble_of(n), 4),
                rows.view().zeros.row<std::uint8_t>(n)[group]);
      ASSERT_EQ(to_float(memory.scales.view().row<f16_t>(group)[n]), rows.view().scales.row<float>(n)[group]);
    }
  }
}

TEST(AwqLayout, UnpacksWhatItPacked) {
  for (const RowShape& shape : kShapes)
    for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
      const OwnedRows rows = OwnedRows::random(shape, 2);
      const AwqMemory memory(shape, dtype);
      pack_awq(rows.view(), 0, memory.view());
      const OwnedRows back(shape);
      unpack_awq(memory.view(), 0, back.view());
      EXPECT_EQ(back, rows) << shape.n << " x " << shape.k << ", " << dtype_name(dtype);
    }
}

TEST(AwqLayout, WorksInPieces) {
  const RowShape shape{72, 64, 32};
  const OwnedRows rows = OwnedRows::random(shape, 3);
  const AwqMemory memory(shape);
  pack_awq(rows.rows(40, 32), 40, memory.view());
  pack_awq(rows.rows(0, 40), 0, memory.view());
  const OwnedRows back(shape);
  for (std::int64_t first = 0; first < 72; first += 24)
    unpack_awq(memory.view(), first, back.rows(first, 24));
  EXPECT_EQ(back, rows);
}

TEST(AwqLayout, WithoutZeroPointsAllAreEight) {
  const RowShape shape{8, 32, 16};
  const AwqMemory memory(shape);
  const OwnedRows back = OwnedRows::random(shape, 4);
  unpack_awq({memory.qweight, memory.scales, {}}, 0, back.view());
  for (std::int64_t n = 0; n < 8; n++)
    for (std::int64_t group = 0; group < 2; group++)
      EXPECT_EQ(back.view().zeros.row<std::uint8_t>(n)[group], 8);
}

TEST(AwqLayout, OutputsInsideAWordAreNotForIt) {
  const RowShape shape{16, 8, 8};
  const AwqMemory memory(shape);
  const OwnedRows rows(shape);
  EXPECT_THROW(unpack_awq(memory.view(), 4, rows.rows(0, 8)), CheckFailure);
  EXPECT_THROW(unpack_awq(memory.view(), 0, rows.rows(0, 12)), CheckFailure);
  EXPECT_THROW(unpack_awq(memory.view(), 16, rows.rows(0, 8)), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
