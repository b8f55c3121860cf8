#include "convert/rope_freqs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace lmdeploy::convert {
namespace {

struct Scaling {
  double rope_theta;
  std::size_t head_dim;
  double factor;
  double low;
  double high;
  double original;
};

std::vector<float> divisors_of(const Scaling& s) {
  std::vector<float> result;
  for (std::size_t i = 0; i < s.head_dim; i += 2) {
    const double wave = 2 * std::numbers::pi *
                        std::pow(s.rope_theta, static_cast<double>(i) / static_cast<double>(s.head_dim));
    const double smooth = std::clamp((s.original / wave - s.low) / (s.high - s.low), 0.0, 1.0);
    result.push_back(static_cast<float>(1 / ((1 - smooth) / s.factor + smooth)));
  }
  return result;
}

TEST(RopeFreqs, GivesLlamasOwnParametersBack) {
  for (const double factor : {8.0, 32.0})
    for (const std::size_t head_dim : {64U, 128U}) {
      const auto rope = recover_llama3_rope(divisors_of({500000, head_dim, factor, 1, 4, 8192}), 500000);
      ASSERT_TRUE(rope.has_value());
      EXPECT_EQ(rope->rope_type, "llama3");
      EXPECT_EQ(rope->factor, factor);
      EXPECT_EQ(rope->low_freq_factor, 1);
      EXPECT_EQ(rope->high_freq_factor, 4);
      EXPECT_EQ(rope->original_max_position_embeddings, 8192);
      EXPECT_EQ(rope->rope_theta, 500000);
    }
}

// Only two ratios are in the divisors, so low_freq_factor = 2 comes back as 1 with half the others: the same
// arithmetic.
TEST(RopeFreqs, GivesTheSameArithmeticForOtherParameters) {
  for (const Scaling& made : {Scaling{500000, 128, 4, 1, 8, 4096}, Scaling{10000, 64, 16, 2, 6, 16384},
                              Scaling{1000000, 128, 2.5, 0.5, 3, 2048}}) {
    const std::vector<float> divisors = divisors_of(made);
    const auto rope = recover_llama3_rope(divisors, made.rope_theta);
    ASSERT_TRUE(rope.has_value()) << made.factor;
    const std::vector<float> again =
        divisors_of({made.rope_theta, made.head_dim, rope->factor, *rope->low_freq_factor,
                     *rope->high_freq_factor, static_cast<double>(*rope->original_max_position_embeddings)});
    for (std::size_t i = 0; i < divisors.size(); ++i)
      EXPECT_NEAR(again[i], divisors[i], 1e-4 * static_cast<double>(divisors[i])) << i;
  }
}

TEST(RopeFreqs, OnesAreNoScaling) {
  const auto rope = recover_llama3_rope(std::vector<float>(32, 1.0F), 10000);
  ASSERT_TRUE(rope.has_value());
  EXPECT_EQ(rope->rope_type, "default");
}

TEST(RopeFreqs, OtherDivisorsAreNotTakenForLlama3) {
  std::vector<float> longrope(32);
  for (std::size_t i = 0; i < longrope.size(); ++i) longrope[i] = 1.0F + static_cast<float>(i * i) * 0.05F;
  EXPECT_EQ(recover_llama3_rope(longrope, 10000), std::nullopt);
  std::vector<float> damaged = divisors_of({500000, 128, 8, 1, 4, 8192});
  damaged[40] *= 1.01F;
  EXPECT_EQ(recover_llama3_rope(damaged, 500000), std::nullopt);
  EXPECT_EQ(recover_llama3_rope(std::vector<float>{1.0F, NAN}, 10000), std::nullopt);
  EXPECT_EQ(recover_llama3_rope(std::vector<float>{0.0F, 0.5F}, 10000), std::nullopt);
  EXPECT_EQ(recover_llama3_rope(std::vector<float>{1.0F, INFINITY}, 10000), std::nullopt);
}

}  // namespace
}  // namespace lmdeploy::convert
