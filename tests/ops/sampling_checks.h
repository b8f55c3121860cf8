#pragma once
// What the tests of `sample` on every device compare draws with.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "ops/ops.h"
#include "ops/ref/sampling.h"
#include "ops/uniform.h"

namespace lmdeploy::ops {

inline ref::SamplingOptions reference_options(const SamplingRow& row) {
  ref::SamplingOptions o;
  o.temperature = static_cast<double>(row.temperature);
  o.top_k = row.top_k;
  o.top_p = static_cast<double>(row.top_p);
  o.min_p = static_cast<double>(row.min_p);
  o.typical_p = static_cast<double>(row.typical_p);
  o.repetition_penalty = static_cast<double>(row.repetition_penalty);
  o.presence_penalty = static_cast<double>(row.presence_penalty);
  o.frequency_penalty = static_cast<double>(row.frequency_penalty);
  for (const IdBias& bias : row.logit_bias) o.logit_bias[bias.id] = static_cast<double>(bias.bias);
  o.penalized_ids.assign(row.penalized_ids.begin(), row.penalized_ids.end());
  for (const IdCount& count : row.answer_counts) o.answer_counts[count.id] = count.count;
  o.banned_ids.assign(row.banned_ids.begin(), row.banned_ids.end());
  return o;
}

inline bool is_allowed(const SamplingRow& row, std::size_t id) {
  return row.allowed_mask.empty() || (row.allowed_mask[id / 32] >> (id % 32) & 1) != 0;
}

inline std::vector<double> distribution(const std::vector<float>& logits, const SamplingRow& row) {
  ref::SamplingOptions options = reference_options(row);
  for (std::size_t id = 0; id < logits.size(); id++)
    if (!is_allowed(row, id)) options.banned_ids.push_back(static_cast<std::int32_t>(id));
  return ref::sampling_distribution({logits.begin(), logits.end()}, options);
}

// A mask draws as a ban of all the other ids does. draw: (logits, row, number of draws) -> tokens.
template <class Rng, class Draw>
void expect_mask_is_a_ban(const std::vector<float>& logits, Rng& rng, const Draw& draw) {
  std::vector<std::uint32_t> mask((logits.size() + 31) / 32);
  for (std::uint32_t& word : mask) word = rng() % 4 == 0 ? 0 : static_cast<std::uint32_t>(rng());
  mask[0] |= 1;
  std::vector<std::int32_t> banned;
  for (std::size_t id = 0; id < logits.size(); id++)
    if (!is_allowed({.allowed_mask = mask}, id)) banned.push_back(static_cast<std::int32_t>(id));
  for (SamplingRow row : {SamplingRow{.temperature = 0}, SamplingRow{.seed = 1}, SamplingRow{.top_k = 5},
                          SamplingRow{.top_p = 0.7F}, SamplingRow{.typical_p = 0.5F}}) {
    SamplingRow with_bans = row;
    with_bans.banned_ids = banned;
    row.allowed_mask = mask;
    EXPECT_EQ(draw(logits, row, 50), draw(logits, with_bans, 50)) << logits.size();
  }
}

inline constexpr std::int64_t kDraws = 20000;
inline constexpr std::int32_t kPenalized[] = {0, 3, 5};
inline constexpr std::int32_t kBanned[] = {1, 2, 1};
inline constexpr IdBias kBias[] = {{4, 1.5F}, {5, -2}, {30, 3}};
inline constexpr IdCount kCounts[] = {{3, 1}, {6, 4}, {7, 2}};

inline constexpr std::uint32_t kMask[] = {0x5555'4af0, 0xffff'fff6};  // of 33 to 64 tokens

// Each way to shape a draw by itself, for a vocabulary of 33 to 64 tokens.
inline std::map<std::string, SamplingRow> sampler_cases() {
  std::map<std::string, SamplingRow> cases;
  cases["plain"] = {};
  cases["temperature"] = {.temperature = 0.5F};
  cases["high temperature"] = {.temperature = 2};
  cases["top_k"] = {.top_k = 5};
  cases["top_k of all"] = {.top_k = 1000};
  cases["top_p"] = {.top_p = 0.7F};
  cases["top_p 0"] = {.top_p = 0};
  cases["min_p"] = {.min_p = 0.2F};
  cases["min_p 1"] = {.min_p = 1};
  cases["typical_p"] = {.typical_p = 0.5F};
  cases["typical_p of few"] = {.typical_p = 0.05F};
  cases["typical_p of most"] = {.typical_p = 0.95F};
  cases["repetition"] = {.repetition_penalty = 1.8F, .penalized_ids = kPenalized};
  cases["repetition below 1"] = {.repetition_penalty = 0.6F, .penalized_ids = kPenalized};
  cases["presence"] = {.presence_penalty = 1.5F, .answer_counts = kCounts};
  cases["presence below 0"] = {.presence_penalty = -1, .answer_counts = kCounts};
  cases["frequency"] = {.frequency_penalty = 0.7F, .answer_counts = kCounts};
  cases["bias"] = {.logit_bias = kBias};
  cases["banned"] = {.banned_ids = kBanned};
  cases["mask"] = {.allowed_mask = kMask};
  return cases;
}

// Several ways at once, at random; the seed is the draws' own.
inline SamplingRow random_combination(std::mt19937& choice, std::uint64_t seed) {
  const auto maybe = [&](float value, float neutral) { return choice() % 2 == 0 ? value : neutral; };
  SamplingRow row{.temperature = maybe(1.3F, 0.8F),
                  .top_k = static_cast<std::int32_t>(maybe(12, 0)),
                  .top_p = maybe(0.9F, 1),
                  .min_p = maybe(0.05F, 0),
                  .typical_p = maybe(0.7F, 1),
                  .repetition_penalty = maybe(1.2F, 1),
                  .presence_penalty = maybe(0.5F, 0),
                  .frequency_penalty = maybe(-0.3F, 0.4F),
                  .penalized_ids = kPenalized,
                  .answer_counts = kCounts,
                  .seed = seed};
  if (choice() % 2 == 0) row.logit_bias = kBias;
  if (choice() % 2 == 0) row.banned_ids = kBanned;
  if (choice() % 2 == 0) row.allowed_mask = kMask;
  return row;
}

// Pearson's chi-square of draws against the exact distribution: a fair sampler passes the 99.99 % quantile,
// and the seeds are fixed; tokens of probability 0 never come.
inline void expect_fair(const std::vector<std::int32_t>& tokens, const std::vector<double>& p,
                        const std::string& what) {
  std::vector<double> counts(p.size());
  for (const std::int32_t token : tokens) counts.at(static_cast<std::size_t>(token))++;
  double chi_square = 0, degrees = -1;
  for (std::size_t i = 0; i < p.size(); i++) {
    if (p[i] == 0) {
      ASSERT_EQ(counts[i], 0) << what << ", token " << i;
      continue;
    }
    const double mean = p[i] * static_cast<double>(tokens.size());
    chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
    degrees++;
  }
  // Wilson and Hilferty's approximation of the quantile.
  const double spread = 2 / (9 * std::max(degrees, 1.0));
  const double limit = std::max(degrees, 1.0) * std::pow(1 - spread + 3.72 * std::sqrt(spread), 3);
  EXPECT_LT(chi_square, limit) << what << ", " << degrees << " degrees of freedom";
}

// tokens[i] is where the running sum of p, by ascending ids, passes the random number of draw i, but for the
// rounding of sums.
inline void expect_exact(const std::vector<std::int32_t>& tokens, const std::vector<double>& p,
                         std::uint64_t seed, const std::string& what) {
  constexpr double kRounding = 1e-5;
  std::vector<double> through(p.size());
  std::partial_sum(p.begin(), p.end(), through.begin());
  for (std::size_t i = 0; i < tokens.size(); i++) {
    const auto token = static_cast<std::size_t>(tokens[i]);
    ASSERT_LT(token, p.size()) << what << ", draw " << i;
    ASSERT_GT(p[token], 0) << what << ", draw " << i << ", token " << token;
    const double position = uniform(seed, i);
    ASSERT_LE(position, through[token] + kRounding) << what << ", draw " << i << ", token " << token;
    ASSERT_GE(position, through[token] - p[token] - kRounding)
        << what << ", draw " << i << ", token " << token;
  }
}

}  // namespace lmdeploy::ops
