#include <limits>
#include <map>
#include <utility>

#include "cuda/cuda_fixture.h"
#include "ops/sampling_checks.h"

namespace lmdeploy::ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// Around the edges of what a warp takes at once, of what a thread does, and of rows that 1, 2, 4 and 8 blocks
// share; two vocabularies of real models.
constexpr std::int64_t kSizes[] = {1,    2,    31,   32,   33,   127,   511,   512,   513,   2048,
                                   4095, 4096, 4097, 8192, 8193, 16384, 16385, 50001, 92544, 152064};

class CudaSampleTest : public CudaOpsTest {
 protected:
  // Draws 0 to count - 1 from the same logits, which lie in device memory once, aligned to one element, with
  // NaN before and after.
  std::vector<std::int32_t> draw(const std::vector<float>& logits, const SamplingRow& row,
                                 std::int64_t count) {
    std::vector<SamplingRow> rows(static_cast<std::size_t>(count), row);
    for (std::size_t i = 0; i < rows.size(); i++) rows[i].draw = i;
    const auto v = static_cast<std::int64_t>(logits.size());
    const Tensor host = padded(logits, 1), device = upload(host);
    View all = device.view().columns(kPadding, v);
    all.shape = {count, v};
    all.row_stride = 0;
    return draw(all, rows, device, host);
  }
  // One token for each of the rows, of which each has logits of its own.
  std::vector<std::int32_t> draw_all(const std::vector<float>& logits, const std::vector<SamplingRow>& rows) {
    const std::int64_t v = std::ssize(logits) / std::ssize(rows);
    const Tensor host = padded(logits, std::ssize(rows)), device = upload(host);
    return draw(device.view().columns(kPadding, v), rows, device, host);
  }

  void check(const std::vector<float>& logits, const SamplingRow& row, std::int64_t count,
             const std::string& what) {
    const std::vector<std::int32_t> tokens = draw(logits, row, count);
    const std::vector<double> p = distribution(logits, row);
    expect_exact(tokens, p, row.seed, what);
    expect_fair(tokens, p, what);
  }

  std::vector<float> random_logits(std::int64_t v, double deviation = 2) {
    const Tensor tensor = random(DType::f32, 1, v, deviation);
    return {tensor.view().row<float>(0), tensor.view().row<float>(0) + v};
  }

 private:
  static constexpr std::int64_t kPadding = 3;

  static Tensor padded(const std::vector<float>& logits, std::int64_t num_rows) {
    const std::int64_t v = std::ssize(logits) / num_rows;
    Tensor host(host_allocator(), DType::f32, {num_rows, v + 2 * kPadding});
    std::fill_n(host.view().as<float>(), host.shape().num_elements(), kNan);
    for (std::int64_t i = 0; i < num_rows; i++)
      std::copy_n(logits.begin() + i * v, v, host.view().row<float>(i) + kPadding);
    return host;
  }

  std::vector<std::int32_t> draw(const View& logits, const std::vector<SamplingRow>& rows, const View& device,
                                 const View& before) {
    std::vector<std::int32_t> tokens(rows.size(), -77);
    sample(ctx, logits, rows, tokens);
    const Tensor after = download(device);
    EXPECT_EQ(std::memcmp(after.view().data, before.data, static_cast<std::size_t>(before.bytes())), 0)
        << "logits are as before";
    return tokens;
  }
};

TEST_F(CudaSampleTest, EachSamplerDrawsFromItsDistribution) {
  std::uint64_t seed = 1000;
  for (auto [name, row] : sampler_cases()) {
    const std::vector<float> logits = random_logits(37);
    row.seed = seed++;
    check(logits, row, kDraws, name);
  }
}

TEST_F(CudaSampleTest, CombinationsDrawFromTheirDistribution) {
  std::mt19937 choice(7);
  for (std::uint64_t seed = 0; seed < 40; seed++) {
    const SamplingRow row = random_combination(choice, seed);
    const std::vector<float> logits = random_logits(37);
    check(logits, row, kDraws / 2, "combination " + std::to_string(seed));
  }
}

TEST_F(CudaSampleTest, LimitsAreExactAtEverySize) {
  for (const std::int64_t v : kSizes)
    for (const double deviation : {2, 6}) {
      const std::vector<float> logits = random_logits(v, deviation);
      for (SamplingRow row :
           {SamplingRow{}, SamplingRow{.top_k = 6}, SamplingRow{.temperature = 0.6F, .top_p = 0.8F},
            SamplingRow{.temperature = 1.4F, .min_p = 0.05F}, SamplingRow{.typical_p = 0.3F},
            SamplingRow{.top_k = 1000, .top_p = 0.9F, .min_p = 0.001F, .typical_p = 0.8F}}) {
        row.seed = static_cast<std::uint64_t>(v);
        expect_exact(draw(logits, row, 100), distribution(logits, row), row.seed,
                     "v " + std::to_string(v) + " top_k " + std::to_string(row.top_k) + " top_p " +
                         std::to_string(row.top_p));
      }
    }
}

TEST_F(CudaSampleTest, TemperatureZeroIsTheFirstMaximumAtEverySize) {
  for (const std::int64_t v : kSizes) {
    std::vector<float> logits = random_logits(v);
    for (int i = 0; i < 3; i++) logits[rng() % static_cast<std::uint64_t>(v)] = 30;
    const auto first = std::max_element(logits.begin(), logits.end()) - logits.begin();
    EXPECT_EQ(draw(logits, {.temperature = 0}, 1)[0], first) << v;
    for (float& logit : logits) logit -= 1000;
    EXPECT_EQ(draw(logits, {.temperature = 0}, 1)[0], first) << v;
  }
}

TEST_F(CudaSampleTest, TheSignOfZeroDoesNotMatter) {
  EXPECT_EQ(draw({-1, -0.0F, 0.0F}, {.temperature = 0}, 1)[0], 1);
  const std::vector<std::int32_t> tokens = draw({-1, -0.0F, 0.0F}, {.top_k = 1}, 100);
  EXPECT_GT(std::count(tokens.begin(), tokens.end(), 1), 20);
  EXPECT_GT(std::count(tokens.begin(), tokens.end(), 2), 20);
}

TEST_F(CudaSampleTest, ABiasOf100ForcesAndOneOfMinus100Forbids) {
  const std::vector<float> logits = random_logits(500);
  const IdBias forced[] = {{321, 100}};
  for (const std::int32_t token : draw(logits, {.logit_bias = forced}, 200)) ASSERT_EQ(token, 321);
  std::vector<IdBias> forbidden;
  for (std::int32_t id = 0; id < 499; id++) forbidden.push_back({id, -100});
  for (const std::int32_t token : draw(logits, {.logit_bias = forbidden}, 200)) ASSERT_EQ(token, 499);
}

TEST_F(CudaSampleTest, AdjustedIdsLieInAnyBlock) {
  constexpr std::int32_t kSize = 20000, kStep = 3333;
  const std::vector<float> logits = random_logits(kSize);
  std::vector<std::int32_t> banned, penalized;
  std::vector<IdBias> bias;
  for (std::int32_t id = 0; id < kSize; id++)
    if (id % kStep != 7) banned.push_back(id);
  for (std::int32_t id = 7; id < kSize; id += 2 * kStep) penalized.push_back(id);
  for (std::int32_t id = 7; id < kSize; id += 3 * kStep) bias.push_back({id, 0.5F});
  const SamplingRow row{.repetition_penalty = 1.5F,
                        .logit_bias = bias,
                        .penalized_ids = penalized,
                        .banned_ids = banned,
                        .seed = 3};
  expect_exact(draw(logits, row, 100), distribution(logits, row), row.seed, "adjusted");
}

TEST_F(CudaSampleTest, AMaskIsABanOfAllOthersAtEverySize) {
  for (const std::int64_t v : kSizes) {
    expect_mask_is_a_ban(random_logits(v), rng, [&](const auto& logits, const SamplingRow& row, int count) {
      return draw(logits, row, count);
    });
  }
}

TEST_F(CudaSampleTest, TiesAtTopKAreAllKept) {
  std::vector<float> logits(20, 0.0F);
  logits[4] = logits[11] = 5.0F;
  const std::vector<std::int32_t> tokens = draw(logits, {.top_k = 1}, 200);
  EXPECT_GT(std::count(tokens.begin(), tokens.end(), 4), 50);
  EXPECT_GT(std::count(tokens.begin(), tokens.end(), 11), 50);
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 4) + std::count(tokens.begin(), tokens.end(), 11), 200);
}

TEST_F(CudaSampleTest, OfTiesAtTopPTheLowerIdsAreKept) {
  for (const std::int64_t v : {8, 1000, 20000}) {
    const std::vector<float> logits(static_cast<std::size_t>(v), -2.5F);
    std::int32_t highest = -1;
    for (const SamplingRow& row : {SamplingRow{.top_p = 0.25F}, SamplingRow{.typical_p = 0.25F}})
      for (const std::int32_t token : draw(logits, row, 400)) {
        ASSERT_LT(token, v / 4);
        highest = std::max(highest, token);
      }
    EXPECT_GE(highest, v / 4 - v / 20 - 1);
  }
}

TEST_F(CudaSampleTest, SameSeedAndDrawGiveTheSameToken) {
  for (const std::int64_t v : {1000, 20000}) {
    const std::vector<float> logits = random_logits(v);
    for (SamplingRow row : {SamplingRow{}, SamplingRow{.top_p = 0.9F}}) {
      row.seed = 42;
      const auto first = draw(logits, row, 50);
      EXPECT_EQ(first, draw(logits, row, 50));
      row.seed = 43;
      EXPECT_NE(first, draw(logits, row, 50));
    }
  }
}

// Where the CPU adds up all tokens by ascending ids, as the card always does.
TEST_F(CudaSampleTest, DrawsTheTokensOfTheCpu) {
  ThreadPool pool(2);
  Workspace host_workspace(host_allocator());
  Ctx cpu;
  cpu.pool = &pool;
  cpu.allocator = &host_allocator();
  cpu.workspace = &host_workspace;
  const IdCount counts[] = {{1, 2}, {999, 1}};
  std::vector<std::vector<std::uint32_t>> masks(100, std::vector<std::uint32_t>(32));
  for (auto& mask : masks)
    for (std::uint32_t& word : mask) word = rng() % 4 == 0 ? 0 : static_cast<std::uint32_t>(rng());
  std::vector<SamplingRow> rows;
  for (std::uint64_t i = 0; i < 100; i++) {
    rows.push_back({.temperature = 0.8F, .seed = i * i, .draw = i});
    if (i % 2 == 1) rows.back().allowed_mask = masks[i];
    if (i % 10 == 9) rows.back().temperature = 0;
    if (i % 3 == 1) rows.back().min_p = 0.02F;
    if (i % 3 == 2) {
      rows.back().answer_counts = counts;
      rows.back().presence_penalty = 0.3F;
      rows.back().frequency_penalty = 0.1F;
    }
  }
  const Tensor logits = random(DType::f32, std::ssize(rows), 1000, 2);
  std::vector<std::int32_t> expected(rows.size());
  sample(cpu, logits, rows, expected);
  const float* data = logits.view().as<float>();
  EXPECT_EQ(draw_all({data, data + logits.shape().num_elements()}, rows), expected);
}

TEST_F(CudaSampleTest, CompanyDoesNotMatter) {
  const std::vector<IdBias> bias = {{5, 1.0F}, {4999, 2.0F}};
  std::vector<SamplingRow> rows;
  for (std::uint64_t i = 0; i < 24; i++) {
    SamplingRow row{.temperature = i % 5 == 0 ? 0 : 0.9F, .seed = i, .draw = 3};
    if (i % 2 == 0) row.top_k = 50;
    if (i % 3 == 0) row.top_p = 0.8F;
    if (i % 4 == 0) row.logit_bias = bias;
    if (i % 7 == 0) row.typical_p = 0.6F;
    rows.push_back(row);
  }
  constexpr std::int64_t kSize = 5000;
  const std::vector<float> logits = random_logits(std::ssize(rows) * kSize);
  const std::vector<std::int32_t> together = draw_all(logits, rows);
  for (std::size_t i = 0; i < rows.size(); i++) {
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(i) * kSize;
    EXPECT_EQ(draw_all({begin, begin + kSize}, {rows[i]})[0], together[i]) << i;
  }
}

TEST_F(CudaSampleTest, NothingToDrawIsMinusOne) {
  const std::vector<std::int32_t> all = {0, 1, 2};
  for (const float temperature : {0.0F, 1.0F}) {
    SamplingRow row{.temperature = temperature};
    for (const float nan : {kNan, -kNan}) {
      EXPECT_EQ(draw(std::vector<float>(50, nan), row, 1)[0], -1);
      for (const std::size_t size : {50U, 9000U}) {
        std::vector<float> one_nan(size, 1.0F);
        one_nan[size - 1] = nan;
        EXPECT_EQ(draw(one_nan, row, 1)[0], -1);
      }
    }
    row.banned_ids = all;
    EXPECT_EQ(draw({1, 2, 3}, row, 1)[0], -1);
    EXPECT_EQ(draw({kNan, 2, 3, 4}, row, 1)[0], 3);
  }
}

TEST_F(CudaSampleTest, ExtremeLogits) {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (SamplingRow row :
       {SamplingRow{.top_k = 2, .top_p = 0.9F}, SamplingRow{.typical_p = 0.5F}, SamplingRow{}}) {
    EXPECT_EQ(draw({0, kInfinity, 3, kInfinity}, row, 1)[0], 1);
    EXPECT_EQ(draw({-kMax, kMax, 3}, row, 1)[0], 1);
    EXPECT_EQ(draw({-kInfinity, -kInfinity, 3}, row, 1)[0], 2);
    row.temperature = 1e-40F;
    EXPECT_EQ(draw({1, 2, 3}, row, 1)[0], 2);
  }
}

}  // namespace
}  // namespace lmdeploy::ops
