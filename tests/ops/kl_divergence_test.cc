#include <limits>

#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class KlDivergenceTest : public OpsTest {
 protected:
  static std::vector<double> row_of(const Tensor& logits, std::int64_t row) {
    const float* x = logits.view().row<float>(row);
    return {x, x + logits.view().dim(1)};
  }
  std::vector<double> divergences(const View& p, const View& q) {
    std::vector<double> kl(static_cast<std::size_t>(p.dim(0)), -7);
    kl_divergence(ctx, p, q, kl);
    return kl;
  }
};

TEST_P(KlDivergenceTest, IsTheReferences) {
  for (const std::int64_t v : {1, 7, 64, 300, 50021}) {
    const Tensor p = random(DType::f32, 5, v, 4), q = random(DType::f32, 5, v, 4);
    const std::vector<double> kl = divergences(p, q);
    for (std::int64_t i = 0; i < 5; i++)
      EXPECT_NEAR(kl[static_cast<std::size_t>(i)], ref::kl_divergence(row_of(p, i), row_of(q, i)), 1e-10)
          << v;
  }
}

TEST_P(KlDivergenceTest, SeesWhatFloatsWouldLose) {
  const Tensor p = random(DType::f32, 1, 3000, 4), q = zeros(DType::f32, 1, 3000);
  for (std::int64_t i = 0; i < 3000; i++)
    q.view().row<float>(0)[i] = p.view().row<float>(0)[i] * (i % 2 == 0 ? 1.0001F : 0.9999F);
  const double expected = ref::kl_divergence(row_of(p, 0), row_of(q, 0));
  ASSERT_LT(expected, 1e-6);
  EXPECT_NEAR(divergences(p, q)[0], expected, 1e-13);
}

TEST_P(KlDivergenceTest, OfARowFromItselfIsExactlyZero) {
  const Tensor p = random(DType::f32, 3, 5000, 30);
  for (const double kl : divergences(p, p)) EXPECT_EQ(kl, 0);
}

TEST_P(KlDivergenceTest, ByHand) {  // p = (1/2, 1/2), q = (3/4, 1/4)
  const Tensor p = zeros(DType::f32, 1, 2), q = zeros(DType::f32, 1, 2);
  q.view().row<float>(0)[0] = std::log(3.0F);
  EXPECT_NEAR(divergences(p, q)[0], 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25), 1e-7);
}

TEST_P(KlDivergenceTest, WhatOnlyOneOfThemExcludes) {
  const Tensor p = zeros(DType::f32, 1, 4), q = zeros(DType::f32, 1, 4);
  p.view().row<float>(0)[3] = -kInfinity;
  EXPECT_NEAR(divergences(p, q)[0], std::log(4.0 / 3.0), 1e-12);
  EXPECT_EQ(divergences(q, p)[0], static_cast<double>(kInfinity));
  EXPECT_EQ(divergences(p, p)[0], 0);
}

TEST_P(KlDivergenceTest, NotANumberStaysVisible) {
  const Tensor p = zeros(DType::f32, 1, 9), q = zeros(DType::f32, 1, 9);
  q.view().row<float>(0)[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(divergences(p, q)[0]));
  EXPECT_TRUE(std::isnan(divergences(q, p)[0]));
}

INSTANTIATE_FOR_ISAS(KlDivergenceTest);

}  // namespace
}  // namespace lmdeploy::ops
