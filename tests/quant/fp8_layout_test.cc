#include "quant/fp8_layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "quant/owned_rows.h"

namespace lmdeploy::testing {
namespace {

constexpr std::int64_t kN = 10, kK = 24;

std::int64_t blocks(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

// Numbers 0, 1, 2, ... but NaN, and scales 1, 2, 3, ...
struct Fp8Memory {
  Fp8Memory(std::int64_t block_outputs, std::int64_t block_inputs, DType scale_dtype = DType::f32)
      : weight(zeroed(DType::f8_e4m3, {kN, kK})),
        scale(zeroed(scale_dtype, {blocks(kN, block_outputs), blocks(kK, block_inputs)})),
        view{block_outputs, block_inputs, weight, scale} {
    for (std::int64_t i = 0; i < kN * kK; i++)
      weight.view().as<f8_e4m3_t>()[i].bits = static_cast<std::uint8_t>(i % 127);
    for (std::int64_t i = 0; i < scale.shape().num_elements(); i++) {
      const auto value = static_cast<float>(i + 1);
      if (scale_dtype == DType::bf16)
        scale.view().as<bf16_t>()[i] = from_float<bf16_t>(value);
      else
        scale.view().as<float>()[i] = value;
    }
  }

  Tensor weight, scale;
  Fp8Tensors view;
};

TEST(Fp8Layout, RowsHaveTheScalesOfTheirBlocks) {
  // [block outputs, block inputs, inputs of a group]: for each output, for the tensor, blocks with what is
  // left at both edges, groups that are parts of blocks.
  for (const auto& [outputs, inputs, group] : {std::array<std::int64_t, 3>{1, kK, kK},
                                               {kN, kK, kK},
                                               {4, 8, 8},
                                               {4, 16, 8},
                                               {4, 16, 4},
                                               {1, 8, 8},
                                               {16, 32, 8}})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const Fp8Memory memory(outputs, inputs, dtype);
      const OwnedRows rows({kN, kK, group, 8});
      unpack_fp8(memory.view, 0, rows.rows(0, 3));
      unpack_fp8(memory.view, 3, rows.rows(3, kN - 3));
      for (std::int64_t n = 0; n < kN; n++)
        for (std::int64_t k = 0; k < kK; k++) {
          ASSERT_EQ(rows.view().q.row<std::uint8_t>(n)[k], (n * kK + k) % 127);
          ASSERT_EQ(rows.view().scales.row<float>(n)[k / group],
                    static_cast<float>(n / outputs * blocks(kK, inputs) + k / inputs + 1))
              << n << ", " << k << " in blocks of " << outputs << " x " << inputs;
        }
    }
}

TEST(Fp8Layout, WhatDoesNotFitIsRefused) {
  const Fp8Memory memory(4, 16);
  const OwnedRows rows({kN, kK, 8, 8}), too_coarse({kN, kK, kK, 8});
  EXPECT_THROW(unpack_fp8(memory.view, 1, rows.view()), CheckFailure);
  EXPECT_THROW(unpack_fp8(memory.view, 0, too_coarse.view()), CheckFailure);
  Fp8Tensors wrong = memory.view;
  wrong.block_outputs = 2;
  EXPECT_THROW(unpack_fp8(wrong, 0, rows.view()), CheckFailure);
}

TEST(Fp8Layout, FindsTheFirstNan) {
  std::array<std::uint8_t, 100> numbers{};
  numbers.fill(0xfe);
  EXPECT_EQ(find_nan_of_fp8(numbers.data(), 100), 100);
  numbers[99] = 0x7f;
  EXPECT_EQ(find_nan_of_fp8(numbers.data(), 100), 99);
  EXPECT_EQ(find_nan_of_fp8(numbers.data(), 99), 99);
  numbers[40] = 0xff;
  EXPECT_EQ(find_nan_of_fp8(numbers.data(), 100), 40);
}

}  // namespace
}  // namespace lmdeploy::testing
