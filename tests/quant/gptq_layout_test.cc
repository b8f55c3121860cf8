#include "quant/gptq_layout.h"

#include <gtest/gtest.h>

#include "quant/owned_rows.h"

namespace lmdeploy::testing {
namespace {

struct GptqMemory {
  GptqMemory(const RowShape& shape, GptqZeros zeros, DType scale_dtype = DType::f16)
      : bits(shape.bits),
        stored_zeros(zeros),
        qweight(zeroed(DType::i32, {shape.k * shape.bits / 32, shape.n})),
        scales(zeroed(scale_dtype, {shape.k / shape.group_size, shape.n})),
        qzeros(zeroed(DType::i32, {shape.k / shape.group_size, (shape.n * shape.bits + 31) / 32})) {}
  GptqTensors view() const { return {bits, stored_zeros, qweight, scales, qzeros}; }

  std::int32_t bits;
  GptqZeros stored_zeros;
  Tensor qweight, scales, qzeros;
};

constexpr RowShape kShapes[] = {{8, 8, 8},    {32, 64, 32},    {13, 40, 8},    {64, 128, 128},
                                {8, 8, 8, 8}, {32, 64, 32, 8}, {13, 20, 4, 8}, {64, 128, 128, 8}};

TEST(GptqLayout, EveryNumberLiesWhereTheDefinitionSays) {
  for (const std::int32_t bits : {4, 8}) {
    const RowShape shape{16, 48, 16, bits};
    const OwnedRows rows = OwnedRows::random(shape, 1);
    const GptqMemory memory(shape, GptqZeros::as_they_are);
    pack_gptq(rows.view(), 0, memory.view());
    const std::int64_t per_word = 32 / bits;
    for (std::int64_t n = 0; n < shape.n; n++) {
      for (std::int64_t k = 0; k < shape.k; k++)
        ASSERT_EQ(
            bits_of(memory.qweight.view().row<std::int32_t>(k / per_word)[n], k % per_word * bits, bits),
            rows.view().q.row<std::uint8_t>(n)[k]);
      for (std::int64_t group = 0; group < 3; group++) {
        ASSERT_EQ(
            bits_of(memory.qzeros.view().row<std::int32_t>(group)[n / per_word], n % per_word * bits, bits),
            rows.view().zeros.row<std::uint8_t>(n)[group]);
        ASSERT_EQ(to_float(memory.scales.view().row<f16_t>(group)[n]),
                  rows.view().scales.row<float>(n)[group]);
      }
    }
  }
}

TEST(GptqLayout, UnpacksWhatItPacked) {
  for (const RowShape& shape : kShapes)
    for (const GptqZeros zeros : {GptqZeros::minus_one, GptqZeros::as_they_are}) {
      const OwnedRows rows = OwnedRows::random(shape, 2);
      const GptqMemory memory(shape, zeros, DType::bf16);
      pack_gptq(rows.view(), 0, memory.view());
      const OwnedRows back(shape);
      unpack_gptq(memory.view(), 0, back.view());
      EXPECT_EQ(back, rows) << shape.n << " x " << shape.k << ", " << shape.bits << " bits";
    }
}

TEST(GptqLayout, WorksInPieces) {
  const RowShape shape{40, 64, 32};
  const OwnedRows rows = OwnedRows::random(shape, 3);
  const GptqMemory memory(shape, GptqZeros::minus_one);
  pack_gptq(rows.rows(24, 16), 24, memory.view());
  pack_gptq(rows.rows(0, 24), 0, memory.view());
  const OwnedRows back(shape);
  unpack_gptq(memory.view(), 0, back.rows(0, 13));
  unpack_gptq(memory.view(), 13, back.rows(13, 27));
  EXPECT_EQ(back, rows);
}

// The first version's symmetric zero of 8 is stored as 7, and 15 is the 0 that took 1 off its neighbour.
TEST(GptqLayout, TheFirstVersionTakesOneOffEveryZero) {
  const RowShape shape{8, 8, 8};
  const GptqMemory memory(shape, GptqZeros::minus_one);
  const OwnedRows rows(shape);
  const auto zeros_of = [&](std::uint32_t word) {
    *memory.qzeros.view().as<std::int32_t>() = static_cast<std::int32_t>(word);
    unpack_gptq(memory.view(), 0, rows.view());
    std::vector<int> zeros;
    for (std::int64_t n = 0; n < 8; n++) zeros.push_back(*rows.view().zeros.row<std::uint8_t>(n));
    return zeros;
  };
  EXPECT_EQ(zeros_of(0x7777'7777), std::vector<int>(8, 8));
  EXPECT_EQ(zeros_of(0x7777'773f), (std::vector<int>{0, 5, 8, 8, 8, 8, 8, 8}));
  EXPECT_EQ(zeros_of(0xeeee'eeef), std::vector<int>({0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(GptqLayout, ZerosAreWrittenWordByWord) {
  const RowShape shape{16, 8, 8};
  const GptqMemory memory(shape, GptqZeros::minus_one);
  EXPECT_THROW(pack_gptq(OwnedRows::random(shape, 4).rows(0, 8), 4, memory.view()), CheckFailure);
}

}  // namespace
}  // namespace lmdeploy::testing
