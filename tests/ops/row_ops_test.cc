#include <limits>

#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr std::int64_t kSizes[] = {1, 2, 7, 15, 16, 17, 31, 33, 64, 127, 576, 1031};

class RowOpsTest : public OpsTest {};

TEST_P(RowOpsTest, Embed) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : kSizes) {
      const Tensor table = random(dtype, 70, k);
      const std::vector<std::int32_t> ids = {69, 0, 3, 3, 64, 63};
      const Tensor y = zeros(DType::f32, 6, k);
      embed(ctx, ids, table, y);
      expect_close(y, ref::embed(ids, matrix(table)), 0, "embed");
      PackedMatrix packed = make_packed_matrix(ctx, {dtype}, 70, k);
      pack_rows(ctx, table, packed, 0);
      const Tensor z = zeros(DType::f32, 6, k);
      embed(ctx, ids, packed, z);
      expect_close(z, ref::embed(ids, matrix(table)), 0, "embed from a packed matrix");
    }
}

TEST_P(RowOpsTest, IdsBelowZeroAreDraws) {
  std::vector<std::int32_t> drawn = {5, -1, 7};  // -1: nothing was drawn
  const View tokens(drawn.data(), DType::i32, Shape{3});
  const Tensor y(host_allocator(), DType::i32, {5});
  const Indices ids = resolve_ids(ctx, std::vector<std::int32_t>{4, ~2, ~1, 0, ~0}, tokens, y);
  EXPECT_EQ(std::vector<std::int32_t>(ids.host.begin(), ids.host.end()),
            (std::vector<std::int32_t>{4, 7, 0, 0, 5}));
  EXPECT_THROW(resolve_ids(ctx, std::vector<std::int32_t>(5, ~3), tokens, y), CheckFailure);
}

TEST_P(RowOpsTest, RmsNorm) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t d : kSizes)
      for (const std::int64_t m : {1, 3, 200}) {
        const Tensor x = random(DType::f32, m, d + 1, 3), y = zeros(dtype, m, d),
                     w = random(DType::f32, 1, d);
        const View row = x.view().columns(1, d);
        rms_norm(ctx, row, View(w.view().data, DType::f32, {d}), 1e-5F, y);
        expect_close(y, ref::rms_norm(matrix(row), matrix(w).values, 1e-5),
                     Tolerance::kernel() + Tolerance::result(dtype), fmt::format("rms_norm {} x {}", m, d));
      }
}

TEST_P(RowOpsTest, RmsNormPerHeadInPlace) {
  const Tensor x = random(DType::f32, 5, 6 * 64), w = random(DType::f32, 1, 64);
  const View heads(x.view().row<float>(0), DType::f32, {5, 4, 64}, 6 * 64);  // 4 of 6 heads
  const ref::Matrix expected = ref::rms_norm(matrix(heads), matrix(w).values, 1e-6);
  const float beyond = get(x, 4 * 64);
  rms_norm(ctx, heads, View(w.view().data, DType::f32, {64}), 1e-6F, heads);
  expect_close(heads, expected, Tolerance::kernel(), "rms_norm per head");
  EXPECT_EQ(get(x, 4 * 64), beyond);
}

TEST_P(RowOpsTest, Rope) {
  for (const std::int64_t half : {1, 8, 32, 48, 64, 5})
    for (const std::int64_t m : {1, 3, 300}) {
      std::vector<std::int32_t> positions;
      std::vector<float> inv_freq;
      std::vector<double> inv_freq_double;
      for (std::int64_t i = 0; i < m; i++) positions.push_back(static_cast<std::int32_t>(rng() % 2000));
      for (std::int64_t j = 0; j < half; j++) {
        inv_freq.push_back(std::pow(10000.0F, -static_cast<float>(j) / static_cast<float>(half)));
        inv_freq_double.push_back(static_cast<double>(inv_freq.back()));
      }
      const Tensor x = random(DType::f32, m, 3 * 2 * half), table = zeros(DType::f32, m, 2 * half);
      const View heads(x.view().data, DType::f32, {m, 3, 2 * half});
      const ref::Matrix expected = ref::rope(matrix(heads), 3, positions, inv_freq_double, 1.5);
      rope_table(ctx, positions, inv_freq, 1.5F, table);
      rope(ctx, heads, table);
      // The angle itself is a float: at position 2000 it is known to 6e-5.
      expect_close(heads, expected, 2e-4, fmt::format("rope {} x {}", m, half));
    }
}

TEST_P(RowOpsTest, SiluMul) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : kSizes)
      for (const std::int64_t m : {1, 60}) {
        const Tensor x = random(DType::f32, m, 2 * k, 8), y = zeros(dtype, m, k);
        silu_mul(ctx, x, y);
        expect_close(y, ref::silu_mul(matrix(x)), Tolerance::kernel() + Tolerance::result(dtype),
                     fmt::format("silu_mul {} x {}", m, k));
      }
}

TEST_P(RowOpsTest, SiluMulAtTheEnds) {
  const Tensor x = zeros(DType::f32, 1, 8), y = zeros(DType::f32, 1, 4);
  const float gates[] = {-200, 200, -88.5F, std::numeric_limits<float>::quiet_NaN()};
  for (int i = 0; i < 4; i++) {
    set(x, i, gates[i]);
    set(x, 4 + i, 1);
  }
  silu_mul(ctx, x, y);
  EXPECT_EQ(get(y, 0), 0);
  EXPECT_EQ(get(y, 1), 200);
  EXPECT_NEAR(get(y, 2), 0, 1e-30);
  EXPECT_TRUE(std::isnan(get(y, 3)));
}

TEST_P(RowOpsTest, GatherColumns) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : kSizes)
      for (const std::int64_t m : {1, 70}) {
        const Tensor x = random(dtype, m, k + 1), y = zeros(dtype, m, 2 * k);
        std::vector<std::int32_t> order;
        for (std::int64_t j = 0; j < 2 * k; j++) order.push_back(static_cast<std::int32_t>(rng() % k));
        const View columns = x.view().columns(1, k);
        gather_columns(ctx, columns, View(order.data(), DType::i32, {2 * k}), y);
        const ref::Matrix values = matrix(columns);
        ref::Matrix expected(m, 2 * k);
        for (std::int64_t r = 0; r < m; r++)
          for (std::int64_t j = 0; j < 2 * k; j++)
            expected.at(r, j) = values.at(r, order[static_cast<std::size_t>(j)]);
        expect_close(y, expected, 0, "gather_columns");
      }
}

TEST_P(RowOpsTest, CastEqualsScalarConversion) {
  const std::vector<float> specials = floats_of_all_kinds();
  const auto count = static_cast<std::int64_t>(specials.size()) - 3;  // not a whole number of vectors
  for (const DType from : kFloatTypes)
    for (const DType to : kFloatTypes) {
      const Tensor x = zeros(from, 1, count), y = zeros(to, 1, count), expected = zeros(to, 1, count);
      for (std::int64_t i = 0; i < count; i++) {
        set(x, i, specials[static_cast<std::size_t>(i)]);
        set(expected, i, get(x, i));
      }
      cast(ctx, x, y);
      ASSERT_EQ(std::memcmp(y.view().data, expected.view().data, static_cast<std::size_t>(y.view().bytes())),
                0)
          << dtype_name(from) << " to " << dtype_name(to);
    }
}

TEST_P(RowOpsTest, CastKeepsNan) {
  const Tensor x = zeros(DType::f32, 1, 19);
  for (std::int64_t i = 0; i < 19; i++) set(x, i, std::numeric_limits<float>::quiet_NaN());
  for (const DType to : {DType::bf16, DType::f16}) {
    const Tensor y = zeros(to, 1, 19);
    cast(ctx, x, y);
    for (std::int64_t i = 0; i < 19; i++) EXPECT_TRUE(std::isnan(get(y, i)));
  }
}

INSTANTIATE_FOR_ISAS(RowOpsTest);

}  // namespace
}  // namespace lmdeploy::ops
