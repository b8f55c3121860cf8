#include <limits>

#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class LogprobsTest : public OpsTest {
 protected:
  static std::vector<double> expected(const Tensor& logits, std::int64_t row) {
    const float* x = logits.view().row<float>(row);
    return ref::log_softmax({x, x + logits.view().dim(1)});
  }
};

TEST_P(LogprobsTest, OfTargets) {
  for (const std::int64_t v : {1, 7, 64, 300, 50021}) {
    const Tensor logits = random(DType::f32, 5, v, 4);
    std::vector<std::int32_t> targets;
    for (std::int64_t i = 0; i < 5; i++) targets.push_back(static_cast<std::int32_t>((i * 7919) % v));
    targets[3] = -1;
    std::vector<float> logprobs(5, 7.0F);
    token_logprobs(ctx, logits, targets, logprobs);
    for (std::int64_t i = 0; i < 5; i++) {
      const auto row = static_cast<std::size_t>(i);
      const double want = targets[row] < 0 ? 0 : expected(logits, i)[static_cast<std::size_t>(targets[row])];
      EXPECT_NEAR(logprobs[row], want, 1e-5) << v;
    }
  }
}

TEST_P(LogprobsTest, TheMostLikelyFirst) {
  for (const std::int64_t v : {1, 19, 20, 21, 64, 65, 1300, 50021}) {
    const Tensor logits = random(DType::f32, 4, v, 4);
    const std::int32_t counts[] = {20, 0, 1, 5};
    std::vector<std::vector<IdLogprob>> tops(4);
    top_logprobs(ctx, logits, counts, tops);
    for (std::size_t row = 0; row < tops.size(); row++) {
      const std::vector<double> all = expected(logits, static_cast<std::int64_t>(row));
      std::vector<std::int32_t> order(all.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return all[static_cast<std::size_t>(a)] > all[static_cast<std::size_t>(b)];
      });
      ASSERT_EQ(std::ssize(tops[row]), std::min<std::int64_t>(counts[row], v)) << v;
      for (std::size_t i = 0; i < tops[row].size(); i++) {
        EXPECT_EQ(tops[row][i].id, order[i]) << v << " row " << row;
        EXPECT_NEAR(tops[row][i].logprob, all[static_cast<std::size_t>(order[i])], 1e-5);
      }
    }
  }
}

TEST_P(LogprobsTest, EqualToTheBitHoweverTheyAreAskedFor) {
  const Tensor logits = random(DType::f32, 1, 5000, 3);
  const std::int32_t counts[] = {20};
  std::vector<std::vector<IdLogprob>> tops(1);
  top_logprobs(ctx, logits, counts, tops);
  for (const IdLogprob& top : tops[0]) {
    float logprob = 0;
    token_logprobs(ctx, logits, {&top.id, 1}, {&logprob, 1});
    EXPECT_EQ(logprob, top.logprob);
  }
}

TEST_P(LogprobsTest, TheLowerIdComesFirstAmongEquals) {
  const Tensor logits = zeros(DType::f32, 1, 700);
  logits.view().row<float>(0)[600] = 1;
  const std::int32_t counts[] = {4};
  std::vector<std::vector<IdLogprob>> tops(1);
  top_logprobs(ctx, logits, counts, tops);
  ASSERT_EQ(tops[0].size(), 4U);
  EXPECT_EQ(tops[0][0].id, 600);
  for (std::int32_t i = 0; i < 3; i++) EXPECT_EQ(tops[0][static_cast<std::size_t>(i) + 1].id, i);
}

TEST_P(LogprobsTest, WhatIsNoNumberHasNone) {
  const Tensor logits = zeros(DType::f32, 3, 90);
  logits.view().row<float>(0)[80] = std::numeric_limits<float>::quiet_NaN();
  logits.view().row<float>(1)[3] = kInfinity;
  logits.view().row<float>(2)[3] = -kInfinity;
  const std::int32_t counts[] = {2, 2, 90};
  std::vector<std::vector<IdLogprob>> tops(3);
  top_logprobs(ctx, logits, counts, tops);
  EXPECT_TRUE(tops[0].empty());
  EXPECT_TRUE(tops[1].empty());
  ASSERT_EQ(tops[2].size(), 90U);
  EXPECT_EQ(tops[2].back().id, 3);
  EXPECT_EQ(tops[2].back().logprob, -kInfinity);
}

INSTANTIATE_FOR_ISAS(LogprobsTest);

}  // namespace
}  // namespace lmdeploy::ops
