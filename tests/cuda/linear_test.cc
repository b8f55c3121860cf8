#include <fmt/format.h>

#include <algorithm>

#include "cuda/linear_fixture.h"

namespace lmdeploy::ops {
namespace {

class CudaFloatLinearTest : public CudaLinearTest {
 protected:
  PackedMatrix pack(const View& w, DType dtype) {
    PackedMatrix packed = make_packed_matrix(ctx, {dtype}, w.dim(0), w.dim(1));
    pack_rows(ctx, w, packed, 0);
    return packed;
  }
  void check(DType dtype, std::int64_t n, std::int64_t k, std::span<const std::int64_t> nums_of_tokens) {
    const std::int64_t most = *std::max_element(nums_of_tokens.begin(), nums_of_tokens.end());
    const Tensor x = random(dtype, most, k), w = random(dtype, n, k);
    const PackedMatrix packed = pack(w, dtype);
    const ref::Matrix product = ref::linear(matrix(x), matrix(w), {});
    for (const std::int64_t m : nums_of_tokens) {
      const Strided rows = upload_strided(x.view().rows(0, m));
      check_linear(rows.view, packed, rows_of(product, m), Tolerance::kernel(),
                   fmt::format("{} [{}, {}] x [{}, {}]", dtype_name(dtype), m, k, n, k));
    }
  }
};

TEST_F(CudaFloatLinearTest, EqualsReference) {
  const std::pair<std::int64_t, std::int64_t> shapes[] = {{1, 1},     {15, 8},   {17, 64}, {193, 576},
                                                          {64, 65},   {130, 31}, {33, 72}, {96, 1000},
                                                          {50, 1160}, {16, 2048}};
  for (const DType dtype : kFloatTypes)
    for (const auto& [n, k] : shapes) check(dtype, n, k, kNumsOfTokens);
}

// More tiles of outputs than a card has multiprocessors.
TEST_F(CudaFloatLinearTest, ManyOutputs) {
  const std::int64_t nums_of_tokens[] = {1, 4, 8};
  for (const DType dtype : kFloatTypes) check(dtype, 5003, 576, nums_of_tokens);
  check(DType::bf16, 9000, 264, nums_of_tokens);
}

// More inputs than shared memory has room for.
TEST_F(CudaFloatLinearTest, ManyInputs) {
  const std::int64_t nums_of_tokens[] = {1, 4, 8};
  for (const DType dtype : {DType::bf16, DType::f16})
    for (const std::int64_t k : {14336, 28680}) check(dtype, 40, k, nums_of_tokens);
}

TEST_F(CudaFloatLinearTest, RowsDoNotDependOnCompany) {
  for (const DType dtype : kFloatTypes)
    for (const std::int64_t k : {575, 2560}) {
      const Tensor x = upload(random(dtype, 8, k));
      check_company(x, pack(random(dtype, 161, k), dtype), {1, 2, 3, 4, 5, 6, 7, 8}, dtype_name(dtype));
    }
}

TEST_F(CudaFloatLinearTest, NoRowsIsNoWork) {
  const PackedMatrix w = pack(random(DType::f32, 8, 8), DType::f32);
  const Tensor x = upload(random(DType::f32, 1, 8)), y = poisoned(DType::f32, {1, 8});
  linear(ctx, x.view().rows(0, 0), w, y.view().rows(0, 0));
  expect_poison_around(y, 0, 0, "no rows");
}

}  // namespace
}  // namespace lmdeploy::ops
