#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

class LinearTest : public OpsTest {
 protected:
  PackedMatrix pack(const View& w, DType dtype) {
    PackedMatrix packed = make_packed_matrix(ctx, {dtype}, w.dim(0), w.dim(1));
    pack_rows(ctx, w, packed, 0);
    return packed;
  }
};

TEST_P(LinearTest, EqualsReference) {
  const std::int64_t rows[] = {1, 2, 5, 7, 8, 13, 64, 97};
  const std::int64_t inputs[] = {1, 2, 31, 64, 65, 127, 576};
  const std::int64_t outputs[] = {1, 15, 16, 17, 32, 33, 63, 64, 65, 96, 127, 193};
  for (const DType dtype : kFloatTypes)
    for (int i = 0; i < 60; i++) {
      const std::int64_t m = rows[rng() % 8], k = inputs[rng() % 7], n = outputs[rng() % 12];
      const Tensor x = random(dtype, m, k + 3), w = random(dtype, n, k);
      const View x_view = x.view().columns(1, k);
      check_linear(x_view, pack(w, dtype), ref::linear(matrix(x_view), matrix(w), {}),
                   fmt::format("{} [{}, {}] x [{}, {}]", dtype_name(dtype), m, k, n, k));
    }
}

// An element's bits do not depend on how many rows are computed with it, nor on how many threads compute.
TEST_P(LinearTest, RowsDoNotDependOnCompany) {
  ThreadPool one_thread(1);
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : {575, 2560}) {
      const std::int64_t n = 161, max_rows = 530;
      const Tensor x = random(dtype, max_rows, k);
      const PackedMatrix w = pack(random(dtype, n, k), dtype);
      const Tensor all = zeros(DType::f32, max_rows, n), some = zeros(DType::f32, max_rows, n);
      linear(ctx, x, w, all);
      for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 31, 100}) {
        const std::int64_t first =
            static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(max_rows - m));
        Ctx alone = ctx;
        if (m % 2 == 0) alone.pool = &one_thread;
        linear(alone, x.view().rows(first, m), w, some.view().rows(0, m));
        ASSERT_EQ(std::memcmp(some.view().row<float>(0), all.view().row<float>(first),
                              static_cast<std::size_t>(m * n) * sizeof(float)),
                  0)
            << dtype_name(dtype) << " k " << k << ", " << m << " rows from " << first;
      }
    }
}

// With the norm before them and SwiGLU behind: the bits of the ops one after another.
TEST_P(LinearTest, FusedEqualsOneAfterAnother) {
  constexpr float kEps = 1e-5F;
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t m : {1, 3, 70}) {
      const std::int64_t n = 48, k = 130;
      const Tensor x = random(DType::f32, m, k), weight = random(DType::f32, 1, k),
                   bias = random(DType::f32, 1, 2 * n);
      const View norm_weight(weight.view().data, DType::f32, {k}),
          bias_row(bias.view().data, DType::f32, {2 * n});
      const PackedMatrix w = pack(random(dtype, 2 * n, k), dtype);
      const Tensor normed = zeros(dtype, m, k), expected = zeros(DType::f32, m, 2 * n),
                   expected_y = zeros(dtype, m, n), actual = zeros(DType::f32, m, 2 * n),
                   actual_y = zeros(dtype, m, n);
      rms_norm(ctx, x, norm_weight, kEps, normed);
      linear(ctx, normed, w, expected, {.bias = bias_row});
      silu_mul(ctx, expected, expected_y);
      normed_linear(ctx, x, {norm_weight, kEps}, w, actual, {.bias = bias_row});
      normed_swiglu(ctx, x, {norm_weight, kEps}, w, bias_row, actual_y);
      const auto same = [](const View& a, const View& b) {
        return std::memcmp(a.data, b.data, static_cast<std::size_t>(a.bytes())) == 0;
      };
      EXPECT_TRUE(same(actual, expected)) << dtype_name(dtype) << ", " << m << " rows";
      EXPECT_TRUE(same(actual_y, expected_y)) << dtype_name(dtype) << ", " << m << " rows";
    }
}

TEST_P(LinearTest, NoRowsIsNoWork) {
  const PackedMatrix w = pack(random(DType::f32, 8, 8), DType::f32);
  const Tensor x = random(DType::f32, 1, 8), y = zeros(DType::f32, 1, 8);
  linear(ctx, x.view().rows(0, 0), w, y.view().rows(0, 0));
}

TEST_P(LinearTest, WrongTypesAndShapesAreNamed) {
  const PackedMatrix w = pack(random(DType::bf16, 8, 8), DType::bf16);
  const Tensor y = zeros(DType::f32, 1, 8), wide = zeros(DType::bf16, 1, 9), f32 = zeros(DType::f32, 1, 8);
  EXPECT_THROW(linear(ctx, wide, w, y), CheckFailure);
  EXPECT_THROW(linear(ctx, f32, w, y), CheckFailure);
  const InputNorm norm{View(y.view().data, DType::f32, {8}), 0};
  EXPECT_THROW(normed_linear(ctx, zeros(DType::bf16, 1, 8), norm, w, y), CheckFailure);
  EXPECT_THROW(normed_swiglu(ctx, f32, norm, w, {}, zeros(DType::bf16, 1, 8)), CheckFailure);
  Ctx cuda = ctx;
  cuda.device = Device::cuda;
  EXPECT_THROW(linear(cuda, wide, w, y), CheckFailure);
}

INSTANTIATE_FOR_ISAS(LinearTest);

}  // namespace
}  // namespace lmdeploy::ops
