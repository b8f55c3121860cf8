#include <limits>

#include "cuda/cuda_fixture.h"

namespace lmdeploy::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// Around the edges of what a warp and a block take at once, and of rows that 1, 2, 4 and 8 blocks share.
constexpr std::int64_t kSizes[] = {1,    19,   20,   21,   64,   65,    300,   511,   513,
                                   2049, 4096, 4097, 8193, 9001, 16385, 50021, 152064};

class CudaLogprobsTest : public CudaOpsTest {
 protected:
  // Columns of a wider matrix in device memory, which holds NaN beside them.
  View on_card(const View& logits) {
    constexpr std::int64_t kPadding = 3;
    const std::int64_t v = logits.dim(1);
    const Tensor host(host_allocator(), DType::f32, {logits.dim(0), v + 2 * kPadding});
    std::fill_n(host.view().as<float>(), host.shape().num_elements(), kNan);
    for (std::int64_t i = 0; i < logits.dim(0); i++)
      std::copy_n(logits.row<float>(i), v, host.view().row<float>(i) + kPadding);
    held = upload(host);
    return held.view().columns(kPadding, v);
  }
  static std::vector<double> expected(const View& logits, std::int64_t row) {
    const float* x = logits.row<float>(row);
    return ref::log_softmax({x, x + logits.dim(1)});
  }
  Tensor held;
};

TEST_F(CudaLogprobsTest, OfTargets) {
  for (const std::int64_t v : kSizes) {
    const Tensor logits = random(DType::f32, 5, v, 4);
    std::vector<std::int32_t> targets;
    for (std::int64_t i = 0; i < 5; i++) targets.push_back(static_cast<std::int32_t>((i * 7919) % v));
    targets[3] = -1;
    std::vector<float> logprobs(5, 7.0F);
    token_logprobs(ctx, on_card(logits), targets, logprobs);
    for (std::int64_t i = 0; i < 5; i++) {
      const auto row = static_cast<std::size_t>(i);
      const double want = targets[row] < 0 ? 0 : expected(logits, i)[static_cast<std::size_t>(targets[row])];
      EXPECT_NEAR(logprobs[row], want, 1e-5) << v;
    }
  }
}

TEST_F(CudaLogprobsTest, OfLogitsThatRiseAndFall) {
  const Tensor logits = zeros(DType::f32, 2, 20000);
  for (std::int64_t i = 0; i < 20000; i++) {
    logits.view().row<float>(0)[i] = static_cast<float>(i) * 0.01F;
    logits.view().row<float>(1)[i] = static_cast<float>(i) * -0.01F;
  }
  const std::int32_t targets[] = {19999, 0};
  std::vector<float> logprobs(2);
  token_logprobs(ctx, on_card(logits), targets, logprobs);
  EXPECT_NEAR(logprobs[0], expected(logits, 0)[19999], 1e-5);
  EXPECT_NEAR(logprobs[1], expected(logits, 1)[0], 1e-5);
}

TEST_F(CudaLogprobsTest, TheMostLikelyFirst) {
  for (const std::int64_t v : kSizes) {
    const Tensor logits = random(DType::f32, 5, v, 4);
    const std::int32_t counts[] = {20, 0, 1, 5, 3000};
    std::vector<std::vector<IdLogprob>> tops(5);
    top_logprobs(ctx, on_card(logits), counts, tops);
    for (std::size_t row = 0; row < tops.size(); row++) {
      const std::vector<double> all = expected(logits, static_cast<std::int64_t>(row));
      std::vector<std::int32_t> order(all.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return all[static_cast<std::size_t>(a)] > all[static_cast<std::size_t>(b)];
      });
      ASSERT_EQ(std::ssize(tops[row]), std::min<std::int64_t>(counts[row], v)) << v;
      for (std::size_t i = 0; i < tops[row].size(); i++) {
        ASSERT_EQ(tops[row][i].id, order[i]) << v << " row " << row;
        ASSERT_NEAR(tops[row][i].logprob, all[static_cast<std::size_t>(order[i])], 1e-5);
      }
    }
  }
}

TEST_F(CudaLogprobsTest, EqualToTheBitHoweverTheyAreAskedFor) {
  const Tensor logits = random(DType::f32, 4, 5000, 3);
  const View device = on_card(logits);
  const std::int32_t counts[] = {0, 0, 20, 0};
  std::vector<std::vector<IdLogprob>> tops(4);
  top_logprobs(ctx, device, counts, tops);
  ASSERT_EQ(tops[2].size(), 20U);
  for (const IdLogprob& top : tops[2]) {
    float logprob = 0;
    token_logprobs(ctx, device.rows(2, 1), {&top.id, 1}, {&logprob, 1});
    EXPECT_EQ(logprob, top.logprob);
  }
}

TEST_F(CudaLogprobsTest, TheLowerIdComesFirstAmongEquals) {
  for (const std::int64_t v : {700, 30000}) {
    const Tensor logits = zeros(DType::f32, 1, v);
    logits.view().row<float>(0)[600] = 1;
    logits.view().row<float>(0)[1] = -0.0F;
    const std::int32_t counts[] = {4};
    std::vector<std::vector<IdLogprob>> tops(1);
    top_logprobs(ctx, on_card(logits), counts, tops);
    ASSERT_EQ(tops[0].size(), 4U);
    EXPECT_EQ(tops[0][0].id, 600);
    for (std::int32_t i = 0; i < 3; i++) EXPECT_EQ(tops[0][static_cast<std::size_t>(i) + 1].id, i);
  }
}

TEST_F(CudaLogprobsTest, WhatIsNoNumberHasNone) {
  const Tensor logits = zeros(DType::f32, 4, 90);
  logits.view().row<float>(0)[80] = kNan;
  logits.view().row<float>(1)[3] = kInfinity;
  logits.view().row<float>(2)[3] = -kInfinity;
  std::fill_n(logits.view().row<float>(3), 90, -kInfinity);
  const std::int32_t counts[] = {2, 2, 90, 2};
  std::vector<std::vector<IdLogprob>> tops(4);
  const View device = on_card(logits);
  top_logprobs(ctx, device, counts, tops);
  EXPECT_TRUE(tops[0].empty());
  EXPECT_TRUE(tops[1].empty());
  EXPECT_TRUE(tops[3].empty());
  ASSERT_EQ(tops[2].size(), 90U);
  EXPECT_EQ(tops[2].back().id, 3);
  EXPECT_EQ(tops[2].back().logprob, -kInfinity);
  const std::int32_t targets[] = {0, 3, 3, 0};
  std::vector<float> logprobs(4);
  token_logprobs(ctx, device, targets, logprobs);
  EXPECT_TRUE(std::isnan(logprobs[0]));
  EXPECT_TRUE(std::isnan(logprobs[1]));
  EXPECT_EQ(logprobs[2], -kInfinity);
  EXPECT_TRUE(std::isnan(logprobs[3]));
}

}  // namespace
}  // namespace lmdeploy::ops
