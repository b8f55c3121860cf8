#include <limits>
#include <map>

#include "ops/ops_fixture.h"
#include "ops/sampling_checks.h"

namespace lmdeploy::ops {
namespace {

class SampleTest : public OpsTest {
 protected:
  // Draws 0 to count - 1.
  std::vector<std::int32_t> draw(const std::vector<float>& logits, const SamplingRow& row,
                                 std::int64_t count) {
    const auto v = static_cast<std::int64_t>(logits.size());
    const Tensor all = zeros(DType::f32, count, v);
    std::vector<SamplingRow> rows;
    for (std::int64_t i = 0; i < count; i++) {
      std::copy(logits.begin(), logits.end(), all.view().row<float>(i));
      rows.push_back(row);
      rows.back().draw = static_cast<std::uint64_t>(i);
    }
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
    sample(ctx, all, rows, tokens);
    for (std::int64_t i = 0; i < count; i++)
      EXPECT_EQ(std::memcmp(all.view().row<float>(i), logits.data(), logits.size() * sizeof(float)), 0)
          << "logits are as before";
    return tokens;
  }

  std::vector<float> random_logits(std::int64_t v) {
    const Tensor tensor = random(DType::f32, 1, v, 2);
    return {tensor.view().row<float>(0), tensor.view().row<float>(0) + v};
  }
};

TEST_P(SampleTest, EachSamplerDrawsFromItsDistribution) {
  std::uint64_t seed = 1000;
  for (auto [name, row] : sampler_cases()) {
    const std::vector<float> logits = random_logits(37);
    row.seed = seed++;
    expect_fair(draw(logits, row, kDraws), distribution(logits, row), name);
  }
}

TEST_P(SampleTest, CombinationsDrawFromTheirDistribution) {
  std::mt19937 random(7);
  for (std::uint64_t seed = 0; seed < 40; seed++) {
    const SamplingRow row = random_combination(random, seed);
    const std::vector<float> logits = random_logits(37);
    expect_fair(draw(logits, row, kDraws / 2), distribution(logits, row),
                "combination " + std::to_string(seed));
  }
}

// The support of the distribution over a real vocabulary's size.
TEST_P(SampleTest, LimitsHoldOnALargeVocabulary) {
  const std::vector<float> logits = random_logits(50000);
  for (const SamplingRow& row :
       {SamplingRow{.top_k = 40}, SamplingRow{.top_p = 0.3F}, SamplingRow{.typical_p = 0.2F},
        SamplingRow{.top_p = 0.8F, .typical_p = 0.5F},
        SamplingRow{.temperature = 0.7F,
                    .top_k = 1000,
                    .top_p = 0.5F,
                    .min_p = 0.01F,
                    .typical_p = 0.9F,
                    .seed = 7}}) {
    const std::vector<double> p = distribution(logits, row);
    for (const std::int32_t token : draw(logits, row, 64)) ASSERT_GT(p[static_cast<std::size_t>(token)], 0);
  }
}

TEST_P(SampleTest, ABiasOf100ForcesAndOneOfMinus100Forbids) {
  const std::vector<float> logits = random_logits(500);
  const IdBias forced[] = {{321, 100}};
  for (const std::int32_t token : draw(logits, {.logit_bias = forced}, 200)) ASSERT_EQ(token, 321);
  std::vector<IdBias> forbidden;
  for (std::int32_t id = 0; id < 499; id++) forbidden.push_back({id, -100});
  for (const std::int32_t token : draw(logits, {.logit_bias = forbidden}, 200)) ASSERT_EQ(token, 499);
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
    const std::uint32_t none[] = {~7U};
    EXPECT_EQ(draw({1, 2, 3}, {.temperature = temperature, .allowed_mask = none}, 1)[0], -1);
  }
}

TEST_P(SampleTest, AMaskIsABanOfAllOthers) {
  for (const std::int64_t v : {1, 31, 32, 33, 1000, 50001}) {
    expect_mask_is_a_ban(random_logits(v), rng, [&](const auto& logits, const SamplingRow& row, int count) {
      return draw(logits, row, count);
    });
  }
}

TEST_P(SampleTest, AMaskThatAllowsTheTokensChangesNothing) {
  const std::vector<float> logits = random_logits(1000);
  const SamplingRow row{.top_k = 7, .seed = 3};
  const std::vector<std::int32_t> tokens = draw(logits, row, 200);
  std::vector<std::uint32_t> mask(32);
  for (const std::int32_t token : tokens) mask[static_cast<std::size_t>(token) / 32] |= 1U << (token % 32);
  SamplingRow masked = row;
  masked.allowed_mask = mask;
  EXPECT_EQ(draw(logits, masked, 200), tokens);
}

TEST_P(SampleTest, AMaskOfAnotherLengthIsABug) {
  const std::uint32_t mask[] = {1};
  EXPECT_THROW(draw(random_logits(33), {.allowed_mask = mask}, 1), CheckFailure);
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
