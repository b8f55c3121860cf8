#include <limits>

#include "ops/quantized_fixture.h"

namespace lmdeploy::ops {
namespace {

class QuantizedLinearTest : public QuantizedTest {
 protected:
  // Every dtype, kind of number and treatment of x in turn; the type of the scales at random.
  static constexpr int kNumFormats = 27;
  MatrixFormat format(int i, std::int64_t group_size) {
    MatrixFormat result;
    const Numbers numbers = kNumbers[i / 3 % 3];
    result.dtype = kFloatTypes[i % 3];
    result.quant = numbers.format(group_size, kFloatTypes[rng() % 3]);
    if (numbers.code == WeightCode::integer) result.activations = kActivations[i / 9 % 3];
    return result;
  }
  std::int64_t one_of(std::initializer_list<std::int64_t> values) {
    return *(values.begin() + rng() % values.size());
  }
};

TEST_P(QuantizedLinearTest, EqualsReference) {
  for (int i = 0; i < 4 * kNumFormats; i++) {
    const std::int64_t group_size = one_of({1, 2, 6, 7, 8, 30, 32, 64, 128, 576, 1030});
    const std::int64_t k = group_size * (group_size > 128 ? one_of({1, 2}) : one_of({1, 2, 3, 9}));
    const std::int64_t m = one_of({1, 2, 3, 4, 5, 6, 7, 12, 13, 97});
    const std::int64_t n = one_of({1, 15, 16, 17, 33, 63, 64, 65, 127, 193});
    const MatrixFormat what = format(i, group_size);
    const Weights w = random_weights(*what.quant, n, k);
    const Tensor x = random(what.dtype, m, k + 3);
    const View x_view = x.view().columns(1, k);
    check_linear(x_view, pack(what, w), ref::linear(met_by_weights(x_view, what), w.values(), {}),
                 name(what, m, n, k));
  }
}

// The largest sums that a span can have: all of x at the same end, all weights far from their zeros.
TEST_P(QuantizedLinearTest, ExtremesDoNotSaturate) {
  for (int i = 0; i < kNumFormats; i++)
    for (const std::int64_t k : {32, 512, 1024}) {
      const MatrixFormat what = format(i, k);
      Weights w = random_weights(*what.quant, 65, k);
      const Numbers numbers{what.quant->bits, what.quant->code};
      for (std::int64_t n = 0; n < 65; n++) {
        std::memset(w.q.view().row<std::uint8_t>(n), numbers.top(n % 2 != 0), static_cast<std::size_t>(k));
        w.zeros.view().row<std::uint8_t>(n)[0] = n % 3 == 0 ? numbers.top() : 0;
      }
      const Tensor x = zeros(what.dtype, 7, k);
      for (std::int64_t j = 0; j < 7 * k; j++) set(x, j, j / k % 2 == 0 ? 3.0F : -3.0F);
      const Tensor y = zeros(DType::f32, 7, 65);
      linear(ctx, x, pack(what, w), y);
      expect_close(y, ref::linear(matrix(x), w.values(), {}), Tolerance::kernel(), name(what, 7, 65, k));
    }
}

// An element's bits do not depend on how many rows are computed with it, nor on how many threads compute.
TEST_P(QuantizedLinearTest, RowsDoNotDependOnCompany) {
  ThreadPool one_thread(1);
  for (int i = 0; i < kNumFormats; i++) {
    const std::int64_t group_size = i % 2 == 0 ? 64 : 606, k = group_size * 4, n = 97, max_rows = 210;
    const MatrixFormat what = format(i, group_size);
    const Tensor x = random(what.dtype, max_rows, k);
    const PackedMatrix w = pack(what, random_weights(*what.quant, n, k));
    const Tensor all = zeros(DType::f32, max_rows, n), some = zeros(DType::f32, max_rows, n);
    linear(ctx, x, w, all);
    for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 31, 100}) {
      const auto first = static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(max_rows - m));
      Ctx alone = ctx;
      if (m % 2 == 0) alone.pool = &one_thread;
      linear(alone, x.view().rows(first, m), w, some.view().rows(0, m));
      ASSERT_EQ(std::memcmp(some.view().row<float>(0), all.view().row<float>(first),
                            static_cast<std::size_t>(m * n) * sizeof(float)),
                0)
          << name(what, m, n, k) << " from row " << first;
    }
  }
}

// A NaN or an infinity in a row is the row's result and nobody else's.
TEST_P(QuantizedLinearTest, WhatIsNotFiniteStaysInItsRow) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (int i = 0; i < kNumFormats; i++) {
    const MatrixFormat what = format(i, 32);
    Weights w = random_weights(*what.quant, 65, 96);
    for (std::int64_t g = 0; g < 65 * 3; g++) set(w.scales, g, 0.5F);
    const Tensor x = random(what.dtype, 9, 96), y = zeros(DType::f32, 9, 65);
    set(x, 4 * 96 + 50, bad[i % 3]);
    linear(ctx, x, pack(what, w), y);
    for (std::int64_t r = 0; r < 9; r++)
      for (std::int64_t c = 0; c < 65; c++)
        if (r != 4)
          ASSERT_TRUE(std::isfinite(get(y, r * 65 + c))) << name(what, 9, 65, 96) << " row " << r;
        else if (what.activations != Activations::as_they_are)
          ASSERT_TRUE(std::isnan(get(y, r * 65 + c))) << name(what, 9, 65, 96);
        else
          ASSERT_TRUE(!std::isfinite(get(y, r * 65 + c)) ||
                      w.q.view().row<std::uint8_t>(c)[50] == w.zeros.view().row<std::uint8_t>(c)[1])
              << name(what, 9, 65, 96);
  }
}

TEST_P(QuantizedLinearTest, TinyAndZeroInputsAreZero) {
  for (int i = 0; i < kNumFormats; i++) {
    const MatrixFormat what = format(i, 32);
    const Tensor x = zeros(what.dtype, 2, 64), y = random(DType::f32, 2, 3);
    set(x, 3, 1e-38F);
    linear(ctx, x, pack(what, random_weights(*what.quant, 3, 64)), y);
    for (std::int64_t j = 0; j < 6; j++) EXPECT_NEAR(get(y, j), 0, 1e-30) << name(what, 2, 3, 64);
  }
}

TEST_P(QuantizedLinearTest, NoRowsIsNoWork) {
  for (int i = 0; i < kNumFormats; i++) {
    const MatrixFormat what = format(i, 8);
    const PackedMatrix w = pack(what, random_weights(*what.quant, 8, 8));
    const Tensor x = random(what.dtype, 1, 8), y = zeros(DType::f32, 1, 8);
    linear(ctx, x.view().rows(0, 0), w, y.view().rows(0, 0));
  }
}

INSTANTIATE_FOR_ISAS(QuantizedLinearTest);

}  // namespace
}  // namespace lmdeploy::ops
