#include <limits>

#include "cuda/cuda_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class CudaKlDivergenceTest : public CudaOpsTest {
 protected:
  static std::vector<double> row_of(const View& logits, std::int64_t row) {
    const float* x = logits.row<float>(row);
    return {x, x + logits.dim(1)};
  }
  std::vector<double> divergences(const View& p, const View& q) {
    std::vector<double> kl(static_cast<std::size_t>(p.dim(0)), -7);
    const Tensor device_p = upload(p), device_q = upload(q);
    kl_divergence(ctx, device_p, device_q, kl);
    return kl;
  }
};

TEST_F(CudaKlDivergenceTest, IsTheReferences) {
  for (const std::int64_t v : {1, 7, 64, 300, 511, 512, 513, 50021}) {
    const Tensor p = random(DType::f32, 5, v, 4), q = random(DType::f32, 5, v, 4);
    const std::vector<double> kl = divergences(p, q);
    for (std::int64_t i = 0; i < 5; i++)
      EXPECT_NEAR(kl[static_cast<std::size_t>(i)], ref::kl_divergence(row_of(p, i), row_of(q, i)), 1e-10)
          << v;
  }
}

TEST_F(CudaKlDivergenceTest, OfStridedRows) {
  const Tensor p = random(DType::f32, 4, 1003, 4), q = random(DType::f32, 4, 1011, 4);
  const View p_columns = p.view().columns(2, 1000), q_columns = q.view().columns(7, 1000);
  const Tensor device_p = upload(p), device_q = upload(q);
  std::vector<double> kl(4, -7);
  kl_divergence(ctx, device_p.view().columns(2, 1000), device_q.view().columns(7, 1000), kl);
  for (std::int64_t i = 0; i < 4; i++)
    EXPECT_NEAR(kl[static_cast<std::size_t>(i)],
                ref::kl_divergence(row_of(p_columns, i), row_of(q_columns, i)), 1e-10);
}

TEST_F(CudaKlDivergenceTest, SeesWhatFloatsWouldLose) {
  const Tensor p = random(DType::f32, 1, 3000, 4), q = zeros(DType::f32, 1, 3000);
  for (std::int64_t i = 0; i < 3000; i++)
    q.view().row<float>(0)[i] = p.view().row<float>(0)[i] * (i % 2 == 0 ? 1.0001F : 0.9999F);
  const double expected = ref::kl_divergence(row_of(p, 0), row_of(q, 0));
  ASSERT_LT(expected, 1e-6);
  EXPECT_NEAR(divergences(p, q)[0], expected, 1e-13);
}

TEST_F(CudaKlDivergenceTest, OfARowFromItselfIsExactlyZero) {
  const Tensor p = random(DType::f32, 3, 5000, 30);
  for (const double kl : divergences(p, p)) EXPECT_EQ(kl, 0);
}

TEST_F(CudaKlDivergenceTest, WhatOnlyOneOfThemExcludes) {
  const Tensor p = zeros(DType::f32, 1, 4), q = zeros(DType::f32, 1, 4);
  p.view().row<float>(0)[3] = -kInfinity;
  EXPECT_NEAR(divergences(p, q)[0], std::log(4.0 / 3.0), 1e-12);
  EXPECT_EQ(divergences(q, p)[0], static_cast<double>(kInfinity));
  EXPECT_EQ(divergences(p, p)[0], 0);
}

TEST_F(CudaKlDivergenceTest, NotANumberStaysVisible) {
  const Tensor p = zeros(DType::f32, 1, 9), q = zeros(DType::f32, 1, 9);
  q.view().row<float>(0)[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(divergences(p, q)[0]));
  EXPECT_TRUE(std::isnan(divergences(q, p)[0]));
}

}  // namespace
}  // namespace lmdeploy::ops
