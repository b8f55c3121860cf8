#include <limits>

#include "ops/ops_fixture.h"

namespace lmdeploy::ops {
namespace {

class SampleTest : public OpsTest {
 protected:
  static ref::SamplingOptions reference(const SamplingRow& row) {
    ref::SamplingOptions o;
    o.temperature = static_cast<double>(row.temperature);
    o.top_k = row.top_k;
    o.top_p = static_cast<double>(row.top_p);
    o.min_p = static_cast<double>(row.min_p);
    o.repetition_penalty = static_cast<double>(row.repetition_penalty);
    o.penalized_ids.assign(row.penalized_ids.begin(), row.penalized_ids.end());
    o.banned_ids.assign(row.banned_ids.begin(), row.banned_ids.end());
    return o;
  }

  std::vector<std::int32_t> draw(const std::vector<float>& logits, const SamplingRow& row, std::int64_t count,
                                 std::vector<float>* logprobs = nullptr) {
    const auto v = static_cast<std::int64_t>(logits.size());
    const Tensor all = zeros(DType::f32, count, v);
    std::vector<SamplingRow> rows;
    for (std::int64_t i = 0; i < count; i++) {
      std::copy(logits.begin(), logits.end(), all.view().row<float>(i));
      rows.push_back(row);
      rows.back().draw = static_cast<std::uint64_t>(i);
    }
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
    if (logprobs != nullptr) logprobs->resize(tokens.size());
    sample(ctx, all, rows, tokens, logprobs != nullptr ? std::span<float>(*logprobs) : std::span<float>());
    return tokens;
  }

  std::vector<float> random_logits(std::int64_t v) {
    const Tensor tensor = random(DType::f32, 1, v, 2);
    return {tensor.view().row<float>(0), tensor.view().row<float>(0) + v};
  }
};

// Pearson's chi-square of 20000 draws against the exact distribution: the 99.99 % quantile is passed by a
// fair sampler, and tokens of probability 0 never come.
TEST_P(SampleTest, DrawsFollowTheDistribution) {
  const std::vector<std::int32_t> penalized = {0, 3, 5}, banned = {1, 2};
  std::vector<SamplingRow> cases(8);
  cases[1].temperature = 0.5F;
  cases[2].top_k = 5;
  cases[3].top_p = 0.7F;
  cases[4].min_p = 0.2F;
  cases[5].repetition_penalty = 1.8F;
  cases[5].penalized_ids = penalized;
  cases[6].banned_ids = banned;
  cases[7] = {1.3F, 12, 0.9F, 0.05F, 1.2F, penalized, banned, 0, 0};
  for (std::size_t c = 0; c < cases.size(); c++) {
    const std::vector<float> logits = random_logits(37);
    cases[c].seed = 1000 + c;
    const std::vector<double> p =
        ref::sampling_distribution({logits.begin(), logits.end()}, reference(cases[c]));
    constexpr std::int64_t kDraws = 20000;
    std::vector<double> counts(p.size());
    for (const std::int32_t token : draw(logits, cases[c], kDraws)) counts[static_cast<std::size_t>(token)]++;
    double chi_square = 0, degrees = -1;
    for (std::size_t i = 0; i < p.size(); i++) {
      if (p[i] == 0) {
        ASSERT_EQ(counts[i], 0) << "case " << c << " token " << i;
        continue;
      }
      const double mean = p[i] * kDraws;
      chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
      degrees++;
    }
    // Wilson and Hilferty's approximation of the quantile.
    const double spread = 2 / (9 * std::max(degrees, 1.0));
    const double limit = std::max(degrees, 1.0) * std::pow(1 - spread + 3.72 * std::sqrt(spread), 3);
    EXPECT_LT(chi_square, limit) << "case " << c << ", " << degrees << " degrees of freedom";
  }
}

// The support of the distribution over a real vocabulary's size, found from the cumulative draw.
TEST_P(SampleTest, LimitsHoldOnALargeVocabulary) {
  const std::vector<float> logits = random_logits(50000);
  std::vector<SamplingRow> cases(3);
  cases[0].top_k = 40;
  cases[1].top_p = 0.3F;
  cases[2] = {0.7F, 1000, 0.5F, 0.01F, 1, {}, {}, 7, 0};
  for (const SamplingRow& row : cases) {
    const std::vector<double> p = ref::sampling_distribution({logits.begin(), logits.end()}, reference(row));
    for (const std::int32_t token : draw(logits, row, 64)) ASSERT_GT(p[static_cast<std::size_t>(token)], 0);
  }
}

TEST_P(SampleTest, TemperatureZeroIsTheFirstMaximum) {
  SamplingRow row;
  row.temperature = 0;
  std::vector<float> logits(100, -3.0F);
  logits[41] = logits[17] = logits[99] = 2.5F;
  EXPECT_EQ(draw(logits, row, 1)[0], 17);
}

TEST_P(SampleTest, TiesAtTopKAreAllKept) {
  SamplingRow row;
  row.top_k = 1;
  std::vector<float> logits(20, 0.0F);
  logits[4] = logits[11] = 5.0F;
  std::int64_t fours = 0, elevens = 0;
  for (const std::int32_t token : draw(logits, row, 200)) {
    ASSERT_TRUE(token == 4 || token == 11);
    (token == 4 ? fours : elevens)++;
  }
  EXPECT_GT(fours, 50);
  EXPECT_GT(elevens, 50);
}

TEST_P(SampleTest, SameSeedAndDrawGiveTheSameToken) {
  const std::vector<float> logits = random_logits(1000);
  SamplingRow row;
  row.seed = 42;
  const auto first = draw(logits, row, 50);
  EXPECT_EQ(first, draw(logits, row, 50));
  row.seed = 43;
  EXPECT_NE(first, draw(logits, row, 50));
}

TEST_P(SampleTest, LogprobsAreOfTheModel) {
  const std::vector<float> logits = random_logits(300);
  std::vector<std::int32_t> penalized;
  for (std::int32_t i = 0; i < 300; i++) penalized.push_back(i);
  SamplingRow row;
  row.repetition_penalty = 1.5F;
  row.penalized_ids = penalized;
  row.temperature = 0.8F;
  std::vector<float> logprobs;
  const auto tokens = draw(logits, row, 20, &logprobs);
  const std::vector<double> expected = ref::log_softmax({logits.begin(), logits.end()});
  for (std::size_t i = 0; i < tokens.size(); i++)
    EXPECT_NEAR(logprobs[i], expected[static_cast<std::size_t>(tokens[i])], 1e-5);
}

TEST_P(SampleTest, NothingToDrawIsMinusOne) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::int32_t> all = {0, 1, 2};
  for (const float temperature : {0.0F, 1.0F}) {
    SamplingRow row;
    row.temperature = temperature;
    EXPECT_EQ(draw(std::vector<float>(50, kNan), row, 1)[0], -1);
    std::vector<float> one_nan(50, 1.0F);
    one_nan[49] = kNan;
    EXPECT_EQ(draw(one_nan, row, 1)[0], -1);
    row.banned_ids = all;
    EXPECT_EQ(draw({1, 2, 3}, row, 1)[0], -1);
  }
}

TEST_P(SampleTest, ExtremeLogits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  SamplingRow row;
  row.top_k = 2;
  row.top_p = 0.9F;
  EXPECT_EQ(draw({0, kInfinity, 3}, row, 1)[0], 1);
  EXPECT_EQ(draw({-kMax, kMax, 3}, row, 1)[0], 1);
  EXPECT_EQ(draw({-kInfinity, -kInfinity, 3}, row, 1)[0], 2);
  row.temperature = 1e-40F;
  EXPECT_EQ(draw({1, 2, 3}, row, 1)[0], 2);
}

INSTANTIATE_FOR_ISAS(SampleTest);

}  // namespace
}  // namespace lmdeploy::ops
