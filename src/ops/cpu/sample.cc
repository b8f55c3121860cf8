#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/parallel.h"

namespace lmdeploy::ops::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int32_t kNoToken = -1;

// Uniform in [0, 1), a function of its arguments alone (SplitMix64's finaliser, Steele et al. 2014, twice).
double uniform(std::uint64_t seed, std::uint64_t draw) {
  const auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  };
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;
  const std::uint64_t bits = mix(mix(seed + kGolden) + (draw + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

// The set of tokens that may be drawn: logits above `logit`, and of those equal to it the ids up to `id`.
struct Bound {
  float logit = -kInfinity;
  std::int32_t id = std::numeric_limits<std::int32_t>::max();

  bool admits(float value, std::int32_t token) const {
    return value > logit || (value == logit && token <= id);
  }
};

struct Row {
  const float* logits;         // [v], penalties applied
  const float* probabilities;  // [v], exp of (logit - max) / temperature, not normalised
  std::int64_t v;
  float max;
};

// Walks down the tokens by logit (ties by id), adding up weight(token), and returns the token at which the
// sum reaches `target`. Only the tokens of one bucket of a histogram over the logits are sorted.
template <class Weight>
Bound bound_at(const Row& row, const Bound& within, double target, const Weight& weight) {
  constexpr std::int64_t kNumBuckets = 1024;
  float low = row.max;
  for (std::int64_t i = 0; i < row.v; i++)
    if (row.logits[i] > -kInfinity) low = std::min(low, row.logits[i]);
  const double max = row.max, range = max - static_cast<double>(low);
  const double scale = range > 0 ? (kNumBuckets - 1) / range : 0;
  const auto bucket_of = [&](std::int64_t i) {
    return static_cast<std::size_t>((max - static_cast<double>(row.logits[i])) * scale);
  };
  const auto counts = [&](std::int64_t i) {
    return row.logits[i] > -kInfinity && within.admits(row.logits[i], static_cast<std::int32_t>(i));
  };
  std::array<double, kNumBuckets> sums{};
  for (std::int64_t i = 0; i < row.v; i++)
    if (counts(i)) sums[bucket_of(i)] += weight(i);
  std::size_t bucket = 0;
  double sum = 0;
  while (bucket + 1 < kNumBuckets && sum + sums[bucket] < target) sum += sums[bucket++];
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < row.v; i++)
    if (counts(i) && bucket_of(i) == bucket) ids.push_back(static_cast<std::int32_t>(i));
  if (ids.empty()) return within;  // rounding left the target above the whole sum
  std::sort(ids.begin(), ids.end(), [&](std::int32_t a, std::int32_t b) {
    return row.logits[a] != row.logits[b] ? row.logits[a] > row.logits[b] : a < b;
  });
  for (const std::int32_t id : ids) {
    sum += weight(id);
    if (sum >= target) return {row.logits[id], id};
  }
  return {row.logits[ids.back()], ids.back()};
}

template <class Weight>
double sum_within(const Row& row, const Bound& bound, const Weight& weight) {
  double sum = 0;
  for (std::int64_t i = 0; i < row.v; i++)
    if (bound.admits(row.logits[i], static_cast<std::int32_t>(i))) sum += weight(i);
  return sum;
}

// top_k keeps ties of the k-th logit; top_p the fewest tokens whose sum reaches p of what top_k left; min_p
// those with at least min_p of the highest probability.
Bound bound_of(const Row& row, const SamplingRow& options) {
  const auto one = [](std::int64_t) { return 1.0; };
  const auto probability = [&](std::int64_t i) { return static_cast<double>(row.probabilities[i]); };
  Bound bound;
  if (options.top_k > 0 && options.top_k < row.v) {
    bound = bound_at(row, bound, options.top_k, one);
    bound.id = std::numeric_limits<std::int32_t>::max();
  }
  if (options.top_p < 1)
    bound = bound_at(row, bound, static_cast<double>(options.top_p) * sum_within(row, bound, probability),
                     probability);
  if (options.min_p > 0) {
    float lowest = row.max;
    for (std::int64_t i = 0; i < row.v; i++)
      if (row.probabilities[i] >= options.min_p) lowest = std::min(lowest, row.logits[i]);
    if (lowest > bound.logit) bound = {lowest, std::numeric_limits<std::int32_t>::max()};
  }
  return bound;
}

std::int32_t draw(const Row& row, const SamplingRow& options) {
  const Bound bound = bound_of(row, options);
  const auto probability = [&](std::int64_t i) { return static_cast<double>(row.probabilities[i]); };
  const double target = uniform(options.seed, options.draw) * sum_within(row, bound, probability);
  double sum = 0;
  std::int32_t last = kNoToken;  // rounding may leave the target just above the sum
  for (std::int64_t i = 0; i < row.v; i++) {
    if (!bound.admits(row.logits[i], static_cast<std::int32_t>(i)) || row.probabilities[i] == 0) continue;
    sum += probability(i);
    last = static_cast<std::int32_t>(i);
    if (sum > target) break;
  }
  return last;
}

// Returns the logits of the penalized ids as they were.
std::vector<float> apply_penalties(float* logits, const SamplingRow& options) {
  std::vector<float> before;
  if (options.repetition_penalty != 1)
    for (const std::int32_t id : options.penalized_ids) {
      before.push_back(logits[id]);
      logits[id] =
          logits[id] > 0 ? logits[id] / options.repetition_penalty : logits[id] * options.repetition_penalty;
    }
  for (const std::int32_t id : options.banned_ids) logits[id] = -kInfinity;
  return before;
}

// logits: [v], penalties applied. probabilities: scratch [v].
std::int32_t sample_row(const Kernels& k, const float* logits, float* probabilities, std::int64_t v,
                        const SamplingRow& options) {
  const float max = k.max(logits, v);
  if (std::isnan(max) || max == -kInfinity) return kNoToken;
  if (options.temperature <= 0 || max == kInfinity)
    return static_cast<std::int32_t>(std::find(logits, logits + v, max) - logits);
  const float scale = std::min(1 / options.temperature, std::numeric_limits<float>::max());
  k.exp(logits, max, scale, v, probabilities);
  return draw({logits, probabilities, v, max}, options);
}

}  // namespace

void sample(Ctx& ctx, const View& logits, std::span<const SamplingRow> rows, std::span<std::int32_t> tokens,
            std::span<float> logprobs) {
  constexpr std::int64_t kRowCost = 8;
  const Workspace::Scope scope(*ctx.workspace);
  const Kernels& k = kernels(ctx.cpu_isa);
  const std::int64_t v = logits.dim(1);
  const View probabilities = ctx.workspace->take(DType::f32, {logits.dim(0), v});
  parallel_rows(ctx, logits.dim(0), v * kRowCost, [&](std::int64_t row) {
    const auto i = static_cast<std::size_t>(row);
    float* x = logits.row<float>(row);
    double log_sum = 0;
    if (!logprobs.empty()) {
      const float max = k.max(x, v);
      log_sum = static_cast<double>(max) + std::log(k.sum_exp(x, max, v));
    }
    const std::vector<float> before = apply_penalties(x, rows[i]);
    const std::int32_t token = tokens[i] = sample_row(k, x, probabilities.row<float>(row), v, rows[i]);
    if (logprobs.empty()) return;
    float logit = token == kNoToken ? std::numeric_limits<float>::quiet_NaN() : x[token];
    for (std::size_t j = 0; j < before.size(); j++)
      if (rows[i].penalized_ids[j] == token) logit = before[j];
    logprobs[i] = static_cast<float>(static_cast<double>(logit) - log_sum);
  });
}

}  // namespace lmdeploy::ops::cpu
