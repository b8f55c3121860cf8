#include <algorithm>
#include <limits>
#include <span>

#include "cuda/linear_fixture.h"
#include "ops/quantized_tensors.h"

namespace lmdeploy::ops {
namespace {

class CudaQuantizedLinearTest : public QuantizedTensors<CudaLinearTest> {
 protected:
  void check(const MatrixFormat& format, std::int64_t n, std::int64_t k,
             std::span<const std::int64_t> nums_of_tokens) {
    const std::int64_t most = *std::max_element(nums_of_tokens.begin(), nums_of_tokens.end());
    const Weights w = random_weights(*format.quant, n, k);
    const PackedMatrix packed = pack(format, w);
    const Tensor x = random(format.dtype, most, k);
    const ref::Matrix met = met_by_weights(x, format), product = ref::linear(met, w.values(), {}),
                      product_of_rounded = ref::linear(met, rounded_to(format.dtype, w.values()), {});
    for (const std::int64_t m : nums_of_tokens) {
      const Strided rows = upload_strided(x.view().rows(0, m));
      check_linear(rows.view, packed,
                   rows_of(rounds_weights(format, m, n, k) ? product_of_rounded : product, m),
                   tolerance(format), name(format, m, n, k));
    }
  }

  MatrixFormat format(DType dtype, const Numbers& numbers, std::int64_t group_size,
                      Activations activations = Activations::as_they_are) {
    return {dtype, numbers.format(group_size, kFloatTypes[rng() % 3]), activations};
  }
  MatrixFormat format(DType dtype, std::int32_t bits, std::int64_t group_size,
                      Activations activations = Activations::as_they_are) {
    return format(dtype, Numbers{bits}, group_size, activations);
  }
  // As they are, or all that go with these numbers.
  static std::span<const Activations> activations_for(const Numbers& numbers) {
    return std::span(kActivations).first(numbers.code == WeightCode::integer ? std::size(kActivations) : 1);
  }
};

// Every type, width and treatment of x with groups that fill whole instructions and groups that do not.
TEST_F(CudaQuantizedLinearTest, EqualsReference) {
  const std::pair<std::int64_t, std::int64_t> groups[] = {{32, 96},   {64, 576},  {128, 1152}, {128, 128},
                                                          {576, 576}, {96, 192},  {100, 300},  {1, 40},
                                                          {30, 210},  {256, 1024}};
  int i = 0;
  for (const auto& [group_size, k] : groups)
    for (const Numbers numbers : kNumbers)
      for (const DType dtype : {DType::bf16, DType::f16}) {
        const std::int64_t outputs[] = {1, 15, 17, 33, 64, 100, 193};
        check(format(dtype, numbers, group_size), outputs[i++ % 7], k, kNumsOfTokens);
      }
}

TEST_F(CudaQuantizedLinearTest, RoundedInputsAndF32EqualReference) {
  const std::int64_t nums_of_tokens[] = {1, 4, 5, 8, 9, 32, 33, 40, 64, 65, 130};
  for (const Numbers numbers : kNumbers)
    for (const std::int64_t group_size : {32, 100, 256})
      for (const Activations activations : activations_for(numbers)) {
        check(format(DType::f32, numbers, group_size, activations), 37, group_size * 2, nums_of_tokens);
        if (activations == Activations::as_they_are) continue;
        for (const DType dtype : {DType::bf16, DType::f16})
          check(format(dtype, numbers, group_size, activations), 67, group_size * 3, nums_of_tokens);
      }
  check(format(DType::bf16, 8, 1024, Activations::int8_per_row), 130, 1024, nums_of_tokens);
}

// More tiles of outputs than a card has multiprocessors or warps.
TEST_F(CudaQuantizedLinearTest, ManyOutputs) {
  const std::int64_t nums_of_tokens[] = {1, 3, 8, 12, 30, 60};
  check(format(DType::bf16, 4, 128), 4500, 2048, nums_of_tokens);
  check(format(DType::f16, 4, 128), 6001, 128, nums_of_tokens);  // one warp, tiles by twos and one
  check(format(DType::f16, 8, 128), 7003, 512, nums_of_tokens);
  check(format(DType::bf16, 4, 32), 20003, 192, nums_of_tokens);
  check(format(DType::bf16, 8, 96), 40000, 96, nums_of_tokens);
  check(format(DType::bf16, kNumbers[2], 128), 6000, 1024, nums_of_tokens);
  check(format(DType::f16, kNumbers[2], 32), 20003, 96, nums_of_tokens);
}

// What hopper_gemm takes: both sides of its variants and of its passes, one slice of the inputs and several,
// slices of different lengths, more tiles of outputs than there are CTAs.
TEST_F(CudaQuantizedLinearTest, ManyTokensOfLongGroups) {
  const std::int64_t nums_of_tokens[] = {9, 32, 33, 64, 65, 128, 129, 256, 257};
  for (const Numbers numbers : kNumbers)
    for (const DType dtype : {DType::bf16, DType::f16}) {
      for (const DType scale_dtype : kFloatTypes)
        check({dtype, numbers.format(128, scale_dtype)}, 273, 128, nums_of_tokens);
      check(format(dtype, numbers, 128), 273, 2176, nums_of_tokens);
    }
  const std::int64_t some[] = {9, 20};
  check(format(DType::bf16, 4, 128), 40000, 256, some);
  check(format(DType::f16, kNumbers[2], 256), 40000, 256, some);
}

// More inputs than shared memory has room for.
TEST_F(CudaQuantizedLinearTest, ManyInputs) {
  const std::int64_t nums_of_tokens[] = {1, 4, 8, 16, 32, 64};
  check(format(DType::bf16, 4, 128), 40, 14336, nums_of_tokens);
  check(format(DType::f16, 8, 64), 72, 11008, nums_of_tokens);
  check(format(DType::bf16, 8, 14336), 24, 14336, nums_of_tokens);
  check(format(DType::bf16, kNumbers[2], 14336), 40, 14336, nums_of_tokens);
}

// The largest sums that a slot can have: all of x at the same end, all weights far from their zeros.
TEST_F(CudaQuantizedLinearTest, ExtremesAreExact) {
  for (const Numbers numbers : kNumbers)
    for (const std::int64_t k : {32, 512, 1024}) {
      const MatrixFormat what = format(DType::bf16, numbers, k);
      Weights w = random_weights(*what.quant, 65, k);
      for (std::int64_t n = 0; n < 65; n++) {
        std::memset(w.q.view().row<std::uint8_t>(n), numbers.top(n % 2 != 0), static_cast<std::size_t>(k));
        w.zeros.view().row<std::uint8_t>(n)[0] = n % 3 == 0 ? numbers.top() : 0;
      }
      const Tensor x = zeros(what.dtype, 20, k);
      for (std::int64_t j = 0; j < 20 * k; j++) set(x, j, j / k % 2 == 0 ? 3.0F : -3.0F);
      const PackedMatrix packed = pack(what, w);
      const Tensor device_x = upload(x);
      for (const std::int64_t m : {7, 20}) {
        const ref::Matrix values =
            rounds_weights(what, m, 65, k) ? rounded_to(what.dtype, w.values()) : w.values();
        check_linear(device_x.view().rows(0, m), packed, rows_of(ref::linear(matrix(x), values, {}), m),
                     Tolerance::kernel(), name(what, m, 65, k));
      }
    }
}

TEST_F(CudaQuantizedLinearTest, RowsDoNotDependOnCompany) {
  for (const Numbers numbers : kNumbers)
    for (const std::int64_t group_size : {64, 128}) {
      const MatrixFormat what = format(DType::bf16, numbers, group_size);
      const std::int64_t k = group_size * 12;
      const Tensor x = upload(random(what.dtype, 64, k));
      const PackedMatrix w = pack(what, random_weights(*what.quant, 97, k));
      check_company(x, w, {1, 2, 3, 4, 5, 6, 7, 8}, name(what, 8, 97, k));
      check_company(x, w, {9, 12, 16}, name(what, 16, 97, k));
      check_company(x, w, {33, 50, 64}, name(what, 64, 97, k));
    }
}

// All floats of 8 bits, each in every place of a chunk and against every kernel: subnormal, negative, -0.
TEST_F(CudaQuantizedLinearTest, EveryFloatOfEightBitsIsExact) {
  constexpr std::int64_t kN = 256;
  for (const std::int64_t k : {32, 128})
    for (const DType dtype : kFloatTypes) {
      const MatrixFormat what{dtype, QuantFormat{8, k, DType::f32, WeightCode::e4m3}};
      Weights w = random_weights(*what.quant, kN, k);
      for (std::int64_t n = 0; n < kN; n++) {
        w.scales.view().as<float>()[n] = 1;
        std::memset(w.q.view().row<std::uint8_t>(n), n % 128 == 127 ? 0 : static_cast<int>(n),
                    static_cast<std::size_t>(k));
      }
      const ref::Matrix values = w.values();
      const PackedMatrix packed = pack(what, w);
      const Tensor x = zeros(dtype, 160, k);
      for (std::int64_t r = 0; r < 160; r++) set(x, r * k + r % k, 1);
      const Tensor device_x = upload(x);
      for (const std::int64_t m : {8, 64, 160}) {
        const Tensor y = poisoned(DType::f32, {m, kN});
        linear(ctx, device_x.view().rows(0, m), packed, y);
        const Tensor result = download(y);
        for (std::int64_t r = 0; r < m; r++)
          for (std::int64_t n = 0; n < kN; n++)
            ASSERT_EQ(double{get(result, r * kN + n)}, values.at(n, r % k))
                << name(what, m, kN, k) << ", code " << n;
      }
    }
}

// A NaN or an infinity in a row is the row's result and nobody else's.
TEST_F(CudaQuantizedLinearTest, WhatIsNotFiniteStaysInItsRow) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  int i = 0;
  for (const Numbers numbers : kNumbers)
    for (const Activations activations : activations_for(numbers))
      for (const std::int64_t m : {5, 9, 60}) {
        const MatrixFormat what = format(DType::bf16, numbers, 32, activations);
        const Weights w = random_weights(*what.quant, 65, 96);
        for (std::int64_t g = 0; g < 65 * 3; g++) set(w.scales, g, 0.5F);
        const Tensor x = random(what.dtype, m, 96);
        set(x, 4 * 96 + 50, bad[i++ % 3]);
        const Tensor device_x = upload(x), y = poisoned(DType::f32, {m, 65});
        linear(ctx, device_x, pack(what, w), y);
        const Tensor result = download(y);
        for (std::int64_t r = 0; r < m; r++)
          for (std::int64_t c = 0; c < 65; c++)
            ASSERT_EQ(std::isfinite(get(result, r * 65 + c)), r != 4)
                << name(what, m, 65, 96) << " row " << r;
      }
}

TEST_F(CudaQuantizedLinearTest, TinyAndZeroInputsAreZero) {
  for (const Numbers numbers : kNumbers)
    for (const Activations activations : activations_for(numbers))
      for (const DType dtype : kFloatTypes) {
        const MatrixFormat what = format(dtype, numbers, 32, activations);
        const Tensor x = zeros(dtype, 2, 64);
        set(x, 3, 1e-38F);
        const Tensor device_x = upload(x), y = poisoned(DType::f32, {2, 3});
        linear(ctx, device_x, pack(what, random_weights(*what.quant, 3, 64)), y);
        const Tensor result = download(y);
        for (std::int64_t j = 0; j < 6; j++) EXPECT_NEAR(get(result, j), 0, 1e-30) << name(what, 2, 3, 64);
      }
}

TEST_F(CudaQuantizedLinearTest, NoRowsIsNoWork) {
  for (const Activations activations : kActivations) {
    const MatrixFormat what = format(DType::bf16, 4, 8, activations);
    const PackedMatrix w = pack(what, random_weights(*what.quant, 8, 8));
    const Tensor x = upload(random(what.dtype, 1, 8)), y = poisoned(DType::f32, {1, 8});
    linear(ctx, x.view().rows(0, 0), w, y.view().rows(0, 0));
    expect_poison_around(y, 0, 0, "no rows");
  }
}

}  // namespace
}  // namespace lmdeploy::ops
