#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

class PackedMatrixTest : public OpsTest {};

// Reading rows back through embed gives what was packed, from any type into any type and in any pieces.
TEST_P(PackedMatrixTest, KeepsEveryElement) {
  for (const DType from : kFloatTypes)
    for (const DType to : kFloatTypes)
      for (const auto& [n, k] :
           {std::pair<std::int64_t, std::int64_t>{1, 1}, {64, 64}, {130, 33}, {71, 1030}}) {
        const Tensor source = random(from, n, k + 1);
        const View rows = source.view().columns(1, k);
        PackedMatrix packed = make_packed_matrix(ctx, {to}, n, k);
        const std::int64_t cut = n / 3;
        pack_rows(ctx, rows.rows(cut, n - cut), packed, cut);
        pack_rows(ctx, rows.rows(0, cut), packed, 0);
        const Tensor back = zeros(DType::f32, n, k);
        std::vector<std::int32_t> ids;
        for (std::int32_t i = 0; i < n; i++) ids.push_back(i);
        embed(ctx, ids, packed, back);
        const Tensor rounded = zeros(to, n, k);
        for (std::int64_t r = 0; r < n; r++)
          for (std::int64_t c = 0; c < k; c++) {
            set(rounded, r * k + c, get(rows, r * rows.row_stride + c));
            ASSERT_EQ(get(back, r * k + c), get(rounded, r * k + c))
                << dtype_name(from) << " to " << dtype_name(to) << " [" << r << ", " << c << "]";
          }
      }
}

TEST_P(PackedMatrixTest, PaddingIsZero) {
  for (const DType dtype : kFloatTypes) {
    const Tensor source = random(dtype, 70, 9);
    PackedMatrix packed = make_packed_matrix(ctx, {dtype}, 70, 9);
    pack_rows(ctx, source, packed, 0);
    double sum = 0, expected = 0;
    const auto count = packed.bytes() / static_cast<std::int64_t>(dtype_bytes(dtype));
    EXPECT_EQ(count, 128 * (dtype == DType::bf16 ? 10 : 9));
    const View all(packed.data.view().data, dtype, {count});
    for (std::int64_t i = 0; i < count; i++) sum += std::abs(static_cast<double>(get(all, i)));
    for (std::int64_t i = 0; i < 70 * 9; i++) expected += std::abs(static_cast<double>(get(source, i)));
    EXPECT_NEAR(sum, expected, 1e-9 * expected);
  }
}

TEST_P(PackedMatrixTest, RowsOutsideAreRefused) {
  PackedMatrix packed = make_packed_matrix(ctx, {DType::f32}, 4, 4);
  EXPECT_THROW(pack_rows(ctx, random(DType::f32, 3, 4), packed, 2), CheckFailure);
  EXPECT_THROW(pack_rows(ctx, random(DType::f32, 1, 5), packed, 0), CheckFailure);
}

INSTANTIATE_FOR_ISAS(PackedMatrixTest);

}  // namespace
}  // namespace lmdeploy::ops
